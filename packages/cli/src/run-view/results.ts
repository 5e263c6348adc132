import type { TaskResult } from '@opencode-manager/actors';
import type { AttemptEnded, TaskReading } from '@opencode-manager/runs/read';
import type { Terminal } from '../terminal/index.ts';

/** A reader of standard output may take nothing for so long; the same as for the results of `ocm run`. */
const idleMs = 5 * 60_000;

/** Waits until the reader has what was printed, so that results of any size do not pile up here. False when it takes no more. */
export async function isTaken({ stdout }: Terminal): Promise<boolean> {
  return stdout.pending === 0 || (await stdout.flush({ idleMs })) === undefined;
}

/** The result of an attempt as the run counts it: a task that took the server down again and again has failed, whatever its last attempt says. */
export function resultIn({ result, outcome, error }: Pick<AttemptEnded, 'result' | 'outcome' | 'error'>): TaskResult {
  return { ...result, outcome, error };
}

/** Whether a task is over, and has not succeeded. */
export function hasFailed({ state }: Pick<TaskReading, 'state'>): boolean {
  return !['succeeded', 'running', 'waiting', 'not_started'].includes(state);
}

/** Why a task has not succeeded, in a sentence. */
export function reasonOf(reading: TaskReading): string {
  if (reading.type === 'result') {
    const { error } = reading.attempt;
    return error ? `${error.code}: ${error.message}` : reading.state;
  }
  if (reading.blockedBy !== null) return `it comes after ${reading.blockedBy}, which has not succeeded`;
  if (reading.isCancelled) return 'it was cancelled';
  return reading.state === 'interrupted' ? 'it was in flight when the run broke off' : `it is ${reading.state.replaceAll('_', ' ')}`;
}
