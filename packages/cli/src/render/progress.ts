export interface ProgressOptions {
  readonly total: number;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
}

export interface FinishedTask {
  readonly id: string;
  readonly outcome: string;
  readonly durationMs: number;
  readonly detail?: string;
  /** Of all its attempts that are told, in tokens and US dollars; null where no price is known. */
  readonly tokens?: number;
  readonly costUsd?: number | null;
  /** The result itself stands on the same terminal, so it needs no line here. */
  readonly printed?: boolean;
}

/**
 * Progress of a batch on stderr. On a terminal: a line for each finished task, and below it a block that is redrawn.
 * Elsewhere: one line a change of state. It never writes to stdout.
 */
export interface Progress extends Disposable {
  /** So many tasks there are, and so many of them had their end before. */
  expects(total: number, before: number): void;
  started(id: string): void;
  /** What a running task waits for; empty when it simply works. */
  waiting(id: string, reason: string): void;
  /** What a running task has used so far. */
  used(id: string, tokens: number, costUsd: number): void;
  finished(task: FinishedTask): void;
  /** An attempt has ended, and another one follows. */
  retried(id: string, reason: string): void;
  /** A task is not run, because of another one, or with null because a user wants no more of it. */
  skipped(id: string, blockedBy: string | null): void;
  /** A task that had this outcome is tried again. */
  requeued(id: string, outcome: string): void;
  /** Why nothing starts although tasks wait, with how long that is still or without; asked for again and again. */
  holds(why: (hasCountdown: boolean) => string | null): void;
  /** A line of its own, for example what a signal means. */
  note(line: string): void;
  /** Writes to stdout, which may be the same terminal: what is drawn gives way meanwhile. */
  aside(write: () => void): void;
}
