import type { Outcome } from '@opencode-manager/actors';

/** Where a live run stands. */
export interface RunStanding {
  /** `ending`: it takes no more tasks. */
  readonly state: 'running' | 'paused' | 'ending';
  /** Attempts at once at most. */
  readonly concurrency: number;
  /** Deadline of attempts whose task names none, in milliseconds. */
  readonly timeoutMs: number | null;
  /** What the run may take, and has taken, with what is in flight. */
  readonly limits: { readonly tokens: number | null; readonly usd: number | null };
  readonly spent: { readonly tokens: number; readonly usd: number };
  /** Attempts in flight. */
  readonly running: number;
  /** Tasks that have not come to their end, and are not in flight. */
  readonly waiting: number;
  /** Why nothing starts although tasks wait, in words; null when something may start. */
  readonly holding: string | null;
  /** Of tasks that have come to their end, by the outcome of the newest attempt. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  /** Tasks that had no attempt yet. */
  readonly notStarted: number;
}

/**
 * Where a task of a live run stands. `queued`: it may start. `blocked`: it waits for others. `delayed`, `parked`: for its next attempt. `reading`: what
 * an earlier manager left of it is read first.
 */
export type TaskStandingState = 'queued' | 'blocked' | 'delayed' | 'parked' | 'reading' | 'running' | 'skipped' | 'cancelled' | Outcome;

export interface TaskStanding {
  readonly key: string;
  readonly state: TaskStandingState;
  /** Number of its newest attempt; 0 before the first. */
  readonly attempt: number;
  /** Of the attempt in flight; null before it is known. */
  readonly sessionId: string | null;
  /** Of its newest attempt that has ended; null before. */
  readonly outcome: Outcome | null;
  readonly errorCode: string | null;
  /** The task without whose success it is not run. */
  readonly blockedBy: string | null;
  /** A user wants no more of it, though it may still run. */
  readonly isCancelled: boolean;
}

/** What became of a wish about one task. */
export interface TaskChange {
  readonly key: string;
  /** `aborting`: it is in flight and ends shortly. `none`: it was so already, or cannot be done; `why` says it. */
  readonly change: 'cancelled' | 'aborting' | 'requeued' | 'none';
  readonly why: string | null;
}

/** Settings of a live run. They hold as long as this manager has the run. */
export interface RunWishes {
  readonly concurrency?: number;
  /** For attempts that start from now on, of tasks that name no deadline, in milliseconds. */
  readonly timeoutMs?: number;
  /** What the run may take as a whole, over all of its managers; null takes the limit away. */
  readonly tokens?: number | null;
  readonly usd?: number | null;
  /**
   * With a lower concurrency: aborts the newest attempts above it, whose tasks run again. With `tokens` or `usd` below what is spent: ends what runs;
   * without it, only nothing new starts.
   */
  readonly enforces?: boolean;
}

/**
 * What users of a live run may ask and wish. Each wish may come twice. What is decided about tasks is in the journal when a promise resolves,
 * so a resume knows it; pause and settings end with this manager.
 * @public
 */
export interface RunControl {
  standing(): RunStanding;
  /** In the order of the source. */
  tasks(): TaskStanding[];
  /** @throws `TASK_UNKNOWN` when there is no such task, naming all of these */
  assertTasks(keys: readonly string[]): void;
  /** No attempt starts until `resume`; what runs goes on. False when it was paused already. */
  pause(): boolean;
  resume(): boolean;
  /** Ends the run: what runs is aborted, or with `drains` comes to its end. Its other tasks run when it is resumed. False when it was ending so already. */
  cancel(reason: string, options?: { readonly drains?: boolean }): Promise<boolean>;
  /** @throws `TASK_UNKNOWN` when there is no such task; then nothing is changed */
  cancelTasks(keys: readonly string[]): Promise<TaskChange[]>;
  /** Tries tasks again that have come to their end without success, with `force` also with it. @throws `TASK_UNKNOWN` as above */
  requeueTasks(keys: readonly string[], force?: boolean): Promise<TaskChange[]>;
  /** Changes settings and gives what they were before. @throws `CONFIG_INVALID`; then nothing is changed */
  configure(wishes: RunWishes): RunWishes;
}
