import type { AttemptEnded, JournalRow } from '../journal/events.ts';
import { runLayout } from '../directory/layout.ts';
import type { TaskRecord } from '../machine/task-record.ts';
import { isHeld } from './read-run.ts';
import { noteHolder } from './holder.ts';
import { JournalReader } from './journal-reader.ts';
import { taskState, type TaskState } from './task-state.ts';

/** What became of one task. */
export type TaskReading = ResultReading | NoResultReading;

/** It has its final result. */
export interface ResultReading {
  readonly type: 'result';
  readonly key: string;
  readonly state: AttemptEnded['outcome'];
  /** Of the row in the journal. */
  readonly sequence: number;
  readonly atMs: number;
  readonly attempt: AttemptEnded;
}

/** It has none: it was skipped, never started, is not over, or broke off with the run and goes on when that is resumed. */
export interface NoResultReading {
  readonly type: 'no_result';
  readonly key: string;
  readonly state: TaskState;
  /** Number of its newest attempt; 0 before the first. */
  readonly attempts: number;
  /** With `skipped`: the task that did not succeed. */
  readonly blockedBy: string | null;
  /** A user wanted no more of it. */
  readonly isCancelled: boolean;
}

/**
 * The final results of a run, in the order in which they were committed, and then the tasks without one, in that of their source: each task
 * once, dropped ones left out. From the journal, which is the truth: `results.jsonl` may be missing. One result is in memory at a time, or as
 * many small ones as make a page.
 * @throws `RUN_UNREADABLE`
 * @example
 * for await (const task of resultsOf(path)) console.log(task.key, task.state, task.type === 'result' ? task.attempt.result.output : '')
 * @public
 */
export async function* resultsOf(path: string): AsyncGenerator<TaskReading, undefined> {
  const { journal: file, lockNote } = runLayout(path);
  const held = isHeld(await noteHolder(lockNote));
  using journal = new JournalReader(file);
  const { tasks, lastSequence } = journal.history();
  yield* readingsOf(tasks, journal.rows({ upTo: lastSequence, type: 'attempt.ended' }), held);
  return undefined;
}

/**
 * The same of tasks and rows from anywhere.
 * @param held Whether somebody carries the run out
 */
export async function* readingsOf(
  all: readonly TaskRecord[],
  rows: Iterable<JournalRow> | AsyncIterable<JournalRow>,
  held: boolean,
): AsyncGenerator<TaskReading, undefined> {
  const tasks = all.filter(({ isDropped }) => !isDropped);
  const open = new Map(tasks.map((task) => [task.key, task]));
  for await (const row of rows) {
    const found = finalResult(row, open);
    if (!found) continue;
    open.delete(found.key);
    yield found;
  }
  for (const task of open.values()) {
    const { key, attempts, blockedBy, isCancelled } = task;
    yield { type: 'no_result', key, state: taskState(task, held), attempts, blockedBy, isCancelled };
  }
  return undefined;
}

/** Undefined for the end of an attempt that a later row has made worth nothing. */
function finalResult({ sequence, atMs, event }: JournalRow, tasks: ReadonlyMap<string, TaskRecord>): ResultReading | undefined {
  if (event.type !== 'attempt.ended') return undefined;
  const task = tasks.get(event.key);
  if (!task?.end || task.open !== null || task.blockedBy !== null) return undefined;
  const isLast = (task.end.final || task.isCancelled) && task.end.attempt === event.attempt;
  return isLast ? { type: 'result', key: event.key, state: event.outcome, sequence, atMs, attempt: event } : undefined;
}
