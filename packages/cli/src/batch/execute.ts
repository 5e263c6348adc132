import type { Outcome, SessionPool, TaskResult } from '@opencode-manager/actors';
import type { NamedTask } from '../task-file/index.ts';
import type { StopSignals } from '../signals.ts';

/** What a batch tells while it runs. */
export interface BatchListener {
  started(task: { readonly id: string; readonly sessionId: string; readonly directory: string; readonly attempt: number }): void;
  finished(result: TaskResult): void | Promise<void>;
}

export interface BatchEnd {
  readonly results: readonly TaskResult[];
  /** Tasks that a signal kept from starting. */
  readonly notStarted: number;
  readonly gaps: number;
  readonly restarts: number;
}

export interface BatchOptions {
  readonly pool: SessionPool;
  readonly tasks: readonly NamedTask[];
  readonly signals: StopSignals;
  readonly listener: BatchListener;
}

/** Runs all tasks; the first stop signal offers no more of them to the pool, the second aborts those in flight. */
export async function executeBatch({ pool, tasks, signals, listener }: BatchOptions): Promise<BatchEnd> {
  const results: TaskResult[] = [];
  const stopListening = pool.on('task.started', ({ taskId, sessionId, directory, attempt }) => listener.started({ id: taskId, sessionId, directory, attempt }));
  try {
    for await (const result of pool.runAll(untilDrained(tasks, signals.drain), { signal: signals.abort })) {
      results.push(result);
      await listener.finished(result);
    }
  } finally {
    stopListening();
  }
  const { gaps, restarts } = pool.snapshot();
  return { results, notStarted: tasks.length - results.length, gaps, restarts };
}

function* untilDrained(tasks: readonly NamedTask[], drain: AbortSignal): Generator<NamedTask> {
  for (const task of tasks) {
    if (drain.aborted) return;
    yield task;
  }
}

/** How often each outcome came. */
export function countOutcomes(results: readonly TaskResult[], all: readonly Outcome[]): Record<Outcome, number> {
  const counts = Object.fromEntries(all.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  for (const { outcome } of results) counts[outcome] += 1;
  return counts;
}
