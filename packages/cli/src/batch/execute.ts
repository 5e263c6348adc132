import type { SessionPool, TaskResult } from '@opencode-manager/actors';
import { toManagerError, type OpencodeManagerError } from '@opencode-manager/core';
import type { NamedTask } from '../task-file/index.ts';
import type { StopSignals } from '../signals.ts';

/** What a batch tells while it runs. */
export interface BatchListener {
  started(task: { readonly id: string; readonly sessionId: string; readonly directory: string; readonly attempt: number }): void;
  /** A running task waits for something, or (with an empty reason) goes on. */
  waiting(id: string, reason: string): void;
  finished(result: TaskResult): void;
}

export interface BatchEnd {
  readonly results: readonly TaskResult[];
  /** Tasks that a signal, or the end of the pool, kept from starting. */
  readonly notStarted: number;
  /** What ended the pool before all tasks had run. */
  readonly failure: OpencodeManagerError | undefined;
  readonly gaps: number;
  readonly restarts: number;
  /** Servers started in place of lost ones. */
  readonly serverRestarts: number;
}

export interface BatchOptions {
  readonly pool: SessionPool;
  readonly tasks: readonly NamedTask[];
  readonly signals: StopSignals;
  readonly listener: BatchListener;
  /** Asked before each task is offered; false starts no more of them. */
  readonly mayStart?: () => boolean;
}

/**
 * Runs all tasks; the first stop signal offers no more of them to the pool, the second aborts those in flight. Never
 * throws: what ended the pool is part of the answer, beside the results so far.
 */
export async function executeBatch({ pool, tasks, signals, listener, mayStart = () => true }: BatchOptions): Promise<BatchEnd> {
  const results: TaskResult[] = [];
  const mine = new Set(tasks.map(({ id }) => id));
  const { tell, failure: told } = contained(listener);
  // Heard from the pool itself, so that results of tasks in flight are not lost when it ends.
  const stopListening = [
    pool.on('task.started', ({ taskId: id, sessionId, directory, attempt }) => {
      if (mine.has(id)) tell('started', { id, sessionId, directory, attempt });
    }),
    pool.on('session.changed', ({ session: { taskId, path } }) => {
      if (taskId !== null && mine.has(taskId)) tell('waiting', taskId, waitReasons[path] ?? '');
    }),
    pool.on('task.finished', ({ result }) => {
      if (!mine.has(result.id)) return;
      results.push(result);
      tell('finished', result);
    }),
  ];
  const offered = untilDrained(tasks, () => !signals.drain.aborted && mayStart());
  const failure = (await drive(pool, offered, signals.abort)) ?? told();
  for (const stop of stopListening) stop();
  const { gaps, restarts, serverRestarts } = pool.snapshot();
  return { results, notStarted: tasks.length - results.length, failure, gaps, restarts, serverRestarts };
}

/**
 * The pool tells in the middle of its work: a listener that fails must not end the tasks. Its first failure is told at the end.
 */
function contained(listener: BatchListener) {
  let first: OpencodeManagerError | undefined;
  return {
    tell: <Name extends keyof BatchListener>(name: Name, ...args: Parameters<BatchListener[Name]>): void => {
      try {
        (listener[name] as (...all: Parameters<BatchListener[Name]>) => void)(...args);
      } catch (error) {
        first ??= toManagerError(error);
      }
    },
    failure: () => first,
  };
}

/** States of a session in which nothing happens until somebody else acts. */
export const waitReasons: Readonly<Record<string, string>> = {
  'active.backingOff': 'until the provider is asked again',
  'active.awaitingInput': 'for an answer to its ask',
  'active.waitingOnChildren': 'for its sub-agents',
  'active.reconciling': 'for the event stream',
  'active.aborting': 'for its abort',
};

async function drive(pool: SessionPool, tasks: Iterable<NamedTask>, signal: AbortSignal): Promise<OpencodeManagerError | undefined> {
  try {
    const results = pool.runAll(tasks, { signal });
    while (!(await results.next()).done);
    return undefined;
  } catch (error) {
    return toManagerError(error);
  }
}

function* untilDrained(tasks: readonly NamedTask[], mayStart: () => boolean): Generator<NamedTask> {
  for (const task of tasks) {
    if (!mayStart()) return;
    yield task;
  }
}
