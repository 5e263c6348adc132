import type { Outcome } from '@opencode-manager/actors';
import type { TaskRecord } from '../machine/task-record.ts';

/**
 * Where a task of a run stands. An outcome: of its newest attempt, after which none follows, or none before the run is resumed. `waiting`: a
 * further attempt follows by itself, after a delay or when its provider's quota is free again.
 */
export type TaskState = Outcome | 'running' | 'waiting' | 'skipped' | 'not_started';

/**
 * Reads where a task stands.
 * @param isHeld Whether a process has the run: what is in flight without one is interrupted
 */
export function taskState({ blockedBy, open, end, isCancelled }: TaskRecord, isHeld: boolean): TaskState {
  if (blockedBy !== null) return 'skipped';
  if (open) return isHeld ? 'running' : 'interrupted';
  if (end === null) return isCancelled ? 'skipped' : 'not_started';
  return isHeld && !end.final && !isCancelled ? 'waiting' : end.outcome;
}

/** Tasks of a run by where they stand. The states add up to `total`. */
export interface StateCounts {
  readonly total: number;
  readonly states: Readonly<Partial<Record<TaskState, number>>>;
  /** Apart: tasks that the source names no more. */
  readonly dropped: number;
}

export function countStates(tasks: readonly TaskRecord[], isHeld: boolean): StateCounts {
  const named = tasks.filter(({ isDropped }) => !isDropped);
  const states: Partial<Record<TaskState, number>> = {};
  for (const task of named) {
    const state = taskState(task, isHeld);
    states[state] = (states[state] ?? 0) + 1;
  }
  return { total: named.length, states, dropped: tasks.length - named.length };
}
