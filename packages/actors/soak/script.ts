import type { Conversation, Reply, Script } from '@opencode-manager/testing';
import { callsTools, plannedTask, type PlannedTask, type ProviderFault } from './plan.ts';

/** Each command of a task leaves a line here, so that one that ran twice is seen. */
export const ranFile = 'ran.log';

export function writtenFile(id: string): string {
  return `written/${id}.txt`;
}

const breaksOff = 'This breaks off in the middle.';
const stops = 'This stops in the middle.';

/** What the model says where its stream breaks or stands still. */
export const brokenTexts: readonly string[] = [breaksOff, stops];

const faultReplies: Readonly<Record<ProviderFault, Reply>> = {
  'rate-limited': { error: { status: 429, message: 'Too many requests', retryAfterSeconds: 1 } },
  'server-error': { error: { status: 500, message: 'Overloaded' } },
  cut: { text: breaksOff, fault: 'cut-mid-stream' },
  hang: { text: stops, fault: 'hang-mid-stream' },
};

/** The scripted model of a seed, and how often each provider fault took effect. */
export interface SoakScript {
  readonly script: Script;
  readonly struck: ReadonlyMap<ProviderFault, number>;
}

export function soakScript(seed: number): SoakScript {
  const struck = new Map<ProviderFault, number>();
  const spent = new Set<string>();
  const reply = ({ user, toolResult }: Conversation): Reply => {
    const task = plannedTask(seed, Number(/^soak t(\d+)/.exec(user)?.[1]));
    const step = toolResult === undefined ? 0 : 1;
    if (task.provider?.step !== step || spent.has(task.id)) return answerOf(task, step);
    spent.add(task.id);
    struck.set(task.provider.fault, (struck.get(task.provider.fault) ?? 0) + 1);
    return faultReplies[task.provider.fault];
  };
  return { script: { rules: [{ name: 'soak', when: { user: /^soak t\d+/ }, reply: [reply, reply] }] }, struck };
}

function answerOf(task: PlannedTask, step: number): Reply {
  const { kind, answer: text, tokensPerSecond } = task;
  if (callsTools(kind) && step === 0) return { toolCalls: [toolCallOf(task)] };
  return tokensPerSecond === undefined ? { text } : { text, tokensPerSecond };
}

function toolCallOf({ id, kind, toolSeconds }: PlannedTask) {
  if (kind === 'write') return { name: 'write', arguments: { filePath: writtenFile(id), content: `${id}\n` } };
  const command = `echo ${id} >> ${ranFile}; sleep ${toolSeconds}`;
  return { name: 'bash', arguments: { command, description: `run ${id}` } };
}
