/**
 * Where a task stands. An outcome: of its newest attempt. `running`: an attempt is in flight. `waiting`: a further attempt follows by itself,
 * after a delay or when its provider's quota is free again. `interrupted`: it broke off with the process that had the run.
 */
export type BatchState = 'running' | 'waiting' | 'not_started' | 'skipped' | 'interrupted' | (string & {});

/** One task of a run, as a row. */
export interface BatchRow {
  readonly key: string;
  /** Position in the order in which the tasks were added, from 0. */
  readonly order: number;
  readonly state: BatchState;
  /** Since when it is in this state, in milliseconds since the epoch; null before its first attempt. */
  readonly sinceMs: number | null;
  /** Number of its newest attempt; 0 before the first. */
  readonly attempt: number;
  /** Of all its attempts that have ended: tokens to and from the model, caches left out. */
  readonly tokens: number;
  /** Of all its attempts that have ended; null when a price is not known. */
  readonly costUsd: number | null;
  /** Of its newest attempt that has ended. */
  readonly durationMs: number | null;
  /** Of its newest attempt that has ended. `message` only on a page that may show what a model said. */
  readonly error: { readonly code: string; readonly message?: string } | null;
  /** Of the attempt in flight. */
  readonly sessionId: string | null;
  /** Tasks that have to succeed first. */
  readonly after: readonly string[];
  /** With `skipped`: the task that did not succeed. */
  readonly blockedBy: string | null;
  /** With `waiting`: when its provider's quota is free again; null when nobody said so, or it waits for something else. */
  readonly resetAtMs: number | null;
}

/** What is true of the run as a whole. */
export interface BatchHead {
  readonly id: string;
  /** Absolute path of its directory. */
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** Time of the newest row of its journal. */
  readonly lastAtMs: number;
  /**
   * `live`: a process has it. `elsewhere`: a process of another machine or container had it, which cannot be looked at from here.
   * `ended`: its process let go of it. `interrupted`: its process is gone without a word.
   */
  readonly standing: 'live' | 'elsewhere' | 'ended' | 'interrupted';
  /** With `ended`: why, as `done` or `max_failures`. */
  readonly endedBecause: string | null;
  /** Attempts at once; null when the run's file does not say. */
  readonly concurrency: number | null;
  /** Why nothing starts, as the process that has the run told it last; null for nothing. */
  readonly holding: string | null;
}

/** One attempt of a task. */
export interface BatchAttempt {
  readonly attempt: number;
  /** null while it is in flight, or when it broke off. */
  readonly outcome: string | null;
  readonly startedAtMs: number | null;
  readonly durationMs: number | null;
  readonly tokens: number;
  readonly costUsd: number | null;
  readonly error: { readonly code: string; readonly message?: string } | null;
}

/** What was said and done in an attempt, line by line. `inner`: in the session of a sub-agent. `cut`: characters that were left out. */
export type ConversationLine =
  | {
      readonly type: 'message';
      readonly inner: boolean;
      readonly role: 'user' | 'assistant';
      readonly at: string | null;
      readonly text: string;
      readonly cut: number;
      readonly reasoning?: string;
      readonly files?: readonly string[];
      readonly error?: string;
    }
  | {
      readonly type: 'tool';
      readonly inner: boolean;
      readonly at: string | null;
      readonly tool: string;
      readonly status: string;
      readonly durationMs: number | null;
      readonly input: string;
      readonly output: string;
      readonly cut: number;
      readonly exitCode?: number | null;
    }
  | { readonly type: 'ask'; readonly inner: boolean; readonly what: string; readonly answer: string };

/** One task by itself. */
export interface BatchTask {
  readonly key: string;
  /** In their order. */
  readonly attempts: readonly BatchAttempt[];
  /** Number of the attempt whose answer and conversation follow; 0 when there is none. */
  readonly attempt: number;
  /** The final text; null without one, and on a page that may not show it. */
  readonly answer: string | null;
  /** `hidden`: the page may not show it. `missing`: the attempt left none. */
  readonly transcript: 'shown' | 'hidden' | 'missing';
  readonly lines: readonly ConversationLine[];
  /** Lines of the file that are not among them. */
  readonly omitted: number;
}
