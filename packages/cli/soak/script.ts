import type { Reply, Script } from '@opencode-manager/testing';
import type { PlannedTask } from './plan.ts';

const marker = /\[(t\d+)\]/;

/** The key of the task that a prompt belongs to. */
export function keyOf(prompt: string): string | undefined {
  return marker.exec(prompt)?.[1];
}

/** What the model says: each task is known by the marker in its prompt. */
export function scriptOf(tasks: readonly PlannedTask[]): Script {
  const known = new Map(tasks.map((task) => [task.id, task]));
  const taskOf = (user: string) => known.get(keyOf(user)!)!;
  return {
    rules: [
      {
        name: 'task',
        when: { user: marker },
        reply: [
          ({ user }) => (taskOf(user).kind === 'text' ? answerOf(taskOf(user)) : toolOf(taskOf(user))),
          ({ user }) => answerOf(taskOf(user)),
        ],
      },
    ],
    model: { inputUsdPerMillion: 1, outputUsdPerMillion: 2 },
  };
}

function answerOf({ answer, tokensPerSecond }: PlannedTask): Reply {
  return { text: answer, tokensPerSecond };
}

/** What it writes tells whether its workspace was fresh. */
function toolOf({ id, kind, toolSeconds }: PlannedTask): Reply {
  const work = kind === 'write' ? `echo ${id} >> ${id}.txt; sleep ${toolSeconds}` : `sleep ${toolSeconds}`;
  return { toolCalls: [{ name: 'bash', arguments: { command: work, description: `Work on ${id}` } }] };
}
