import type { Reply, Script } from '@opencode-manager/testing';
import { seededRandom } from '../random.ts';
import type { QueueSoakOptions } from './options.ts';

export interface QueuedTask {
  readonly id: string;
  readonly prompt: string;
  readonly kind: 'text' | 'write';
  readonly answer: string;
  /** How long the model thinks before each answer, in milliseconds. */
  readonly delayMs: number;
}

/** The task that is cancelled while it runs: its model does not answer in time. */
export const slowTask = 'slow';

const marker = /\[([\w-]+)\]/;

export function plannedTasks({ tasks, seed, measures }: QueueSoakOptions): readonly QueuedTask[] {
  const random = seededRandom(seed);
  const planned = Array.from({ length: tasks - Number(!measures) }, (_, index): QueuedTask => {
    const id = `t${index + 1}`;
    const kind = !measures && random.chance(0.4) ? 'write' : 'text';
    const delayMs = measures ? 10_000 : Math.round(random.between(500, 5000));
    return { id, kind, prompt: `Work on [${id}]`, answer: `The answer of ${id}.`, delayMs };
  });
  const slow: QueuedTask = { id: slowTask, kind: 'text', prompt: `Work on [${slowTask}]`, answer: 'Too late.', delayMs: 600_000 };
  return measures ? planned : [slow, ...planned];
}

export function scriptOf(tasks: readonly QueuedTask[]): Script {
  const known = new Map(tasks.map((task) => [task.id, task]));
  const taskOf = (user: string) => known.get(marker.exec(user)![1]!)!;
  const answer = ({ answer: text, delayMs }: QueuedTask): Reply => ({ text, delayMs });
  return {
    rules: [
      {
        name: 'task',
        when: { user: marker },
        reply: [
          ({ user }) => (taskOf(user).kind === 'text' ? answer(taskOf(user)) : toolOf(taskOf(user))),
          ({ user }) => answer(taskOf(user)),
        ],
      },
    ],
    model: { inputUsdPerMillion: 1, outputUsdPerMillion: 2 },
  };
}

function toolOf({ id, delayMs }: QueuedTask): Reply {
  const command = `echo ${id} >> ${id}.txt; sleep 0.2`;
  return { delayMs, toolCalls: [{ name: 'bash', arguments: { command, description: `Work on ${id}` } }] };
}
