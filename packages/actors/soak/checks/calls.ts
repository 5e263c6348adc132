import type { RecordedCall } from '@opencode-manager/testing';
import type { TaskResult } from '../../src/index.ts';
import { callsTools, type PlannedTask } from '../plan.ts';

/** What the model heard, and when its streams were cut. */
export interface ModelRecord {
  readonly calls: readonly RecordedCall[];
  /** Milliseconds since the epoch. */
  readonly cutsAtMs: readonly number[];
}

/**
 * The model answered each task's prompt once. What was asked again has a reason: the call before it failed or was cut on
 * its way, or the server was lost and the result names the try.
 */
export function checkCalls(tasks: readonly PlannedTask[], results: readonly TaskResult[], model: ModelRecord): string[] {
  const byId = new Map(results.map((result) => [result.id, result]));
  const byPrompt = Map.groupBy(model.calls, ({ user }) => user);
  return tasks.flatMap((task) => {
    const result = byId.get(task.id);
    return result ? checkTask(task, result, byPrompt.get(task.prompt) ?? [], model.cutsAtMs) : [];
  });
}

function checkTask(task: PlannedTask, result: TaskResult, calls: readonly RecordedCall[], cutsAtMs: readonly number[]): string[] {
  const tries = (result.attempts ?? []).map((earlier) => earlier.session_id);
  const known = new Set([...tries, result.session_id]);
  const strangers = calls.filter(({ sessionId }) => !known.has(sessionId ?? null));
  return [
    ...strangers.map(({ sessionId }) => `${task.id}: the model was asked in session ${sessionId}, which the result does not name`),
    ...[...known].flatMap((session) => checkSession(task, result, session, calls, cutsAtMs)),
  ];
}

function checkSession(
  task: PlannedTask,
  result: TaskResult,
  session: string | null,
  calls: readonly RecordedCall[],
  cutsAtMs: readonly number[],
): string[] {
  const problems: string[] = [];
  const isEnd = session === result.session_id && result.outcome === 'succeeded';
  for (const phase of callsTools(task.kind) ? phases : phases.slice(0, 1)) {
    const asked = calls.filter((call) => call.sessionId === session && phaseOf(call) === phase);
    const again = asked.slice(1).filter((call, index) => !isExplained(asked[index]!, call, cutsAtMs));
    for (const { number } of again) problems.push(`${task.id}: call ${number} in ${session} asked again for what was answered (${phase})`);
    const isAnswered = asked.some(({ outcome }) => outcome === 'completed');
    if (isEnd && !isAnswered) problems.push(`${task.id}: succeeded, and the model never answered (${phase})`);
  }
  return problems;
}

const phases = ['the prompt', 'the tool result'] as const;

/** Not by the number of the step: a try that broke off counts as a message of its own in the history that follows it. */
function phaseOf({ messages }: RecordedCall): (typeof phases)[number] {
  return messages.at(-1)?.role === 'tool' ? 'the tool result' : 'the prompt';
}

/** An answer that was given in full may still have been cut between the model and the server. */
function isExplained(before: RecordedCall, after: RecordedCall, cutsAtMs: readonly number[]): boolean {
  return before.outcome !== 'completed' || cutsAtMs.some((atMs) => atMs >= before.startedAtMs && atMs <= after.startedAtMs);
}
