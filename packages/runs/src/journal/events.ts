import type { Outcome, TaskResult } from '@opencode-manager/actors';
import type { Spent } from '@opencode-manager/actors/hosts';
import type { SerializedError } from '@opencode-manager/core/errors';

/**
 * What a run's journal says, row by row. Rows are only ever appended; `sequence` counts all rows of a run from 1 without gaps. What is true of a run is
 * what its rows say, in their order.
 */
export type JournalEvent =
  | RunOpened
  | TaskAdded
  | TaskDropped
  | AttemptIntended
  | AttemptRepairing
  | AttemptAccepted
  | AttemptEnded
  | AttemptSuperseded
  | TaskSkipped
  | TaskCancelled
  | TaskRequeued
  | RunEnded;

export interface JournalRow {
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly event: JournalEvent;
}

/** A manager has the run now; rows after it are its own until the next one. */
export interface RunOpened {
  readonly type: 'run.opened';
  /** 1 for the first manager, one more for each that resumes. */
  readonly generation: number;
}

/** A task of the run: once when it is new, again when what it asks for has changed and it is run anew. */
export interface TaskAdded {
  readonly type: 'task.added';
  readonly key: string;
  /** `ocm-task-v1:` and 64 hexadecimal digits, over what can change the answer. */
  readonly hash: string;
  /** A digest of each field that the hash covers, by the field's name, so that a resume can name those that differ. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Keys that have to succeed first. */
  readonly after: readonly string[];
  /** Further attempts after its own failures; see {@link AttemptEnded.counts}. */
  readonly retries: number;
}

/** A task that the source does not name any more. Its results stay. */
export interface TaskDropped {
  readonly type: 'task.dropped';
  readonly key: string;
}

/** Committed before the prompt goes out: from here on it may have been sent. */
export interface AttemptIntended {
  readonly type: 'attempt.intended';
  readonly key: string;
  /** 1 for the first attempt of the task, one more for each, whoever made it. */
  readonly attempt: number;
  /** Names the attempt over all managers: a result under an old token is refused. */
  readonly token: string;
  readonly sessionId: string;
  /** Our user message. */
  readonly messageId: string;
  readonly directory: string;
  /** The attempt whose session and place it goes on in, with a prompt of its own; absent for one that begins anew. */
  readonly continues?: number;
  /** The model that it runs with because the quota of its task's own is spent. */
  readonly fallback?: string;
}

/**
 * Committed before a further prompt of an attempt goes out, in its session: its answer did not fit the output schema. From here on the attempt is
 * judged by this message.
 */
export interface AttemptRepairing {
  readonly type: 'attempt.repairing';
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
  readonly messageId: string;
  /** 1 for the first correction. */
  readonly repair: number;
  /** What the turns of the attempt have taken before it. */
  readonly spent: Spent;
}

/** The server has the prompt. */
export interface AttemptAccepted {
  readonly type: 'attempt.accepted';
  readonly key: string;
  readonly attempt: number;
}

/** Committed before anybody is told. */
export interface AttemptEnded {
  readonly type: 'attempt.ended';
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
  readonly outcome: Outcome;
  /** What of a task's counters it takes: its own tries, those of the infrastructure, or none (an end of the manager, a signal). */
  readonly counts: 'task' | 'infrastructure' | 'none';
  /** No further attempt follows, as things stand. */
  readonly final: boolean;
  /** Whether its prompt was sent, so that it may have cost something. */
  readonly billed: boolean;
  readonly error: SerializedError | null;
  readonly result: TaskResult;
  /** The limit that ended it; absent when none did. */
  readonly limit?: ReachedLimit;
  /** Who wished its end, with `aborted`: a user (of this task), or the manager (of the whole run, a signal). */
  readonly abortedBy?: 'user' | 'manager';
  /** The attempt whose session and place it goes on in: its result is that of all parts together. */
  readonly continues?: number;
  /** The session or the place in which it was to go on was of no use any more. */
  readonly gone?: true;
  /** How often the server died while it had the prompt; absent for never. */
  readonly deaths?: number;
}

/** A limit by its name in the task file, and its value when it ended an attempt. */
export interface ReachedLimit {
  readonly name: string;
  readonly value: number;
}

/** A result that came under an old token. It counts for nothing. */
export interface AttemptSuperseded {
  readonly type: 'attempt.superseded';
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
  readonly outcome: Outcome;
  /** What it had spent all the same, where its host has told: tokens (uncached input, output, reasoning), US dollars (null: unknown price), calls. */
  readonly spent?: { readonly tokens: number; readonly usd: number | null; readonly modelCalls: number };
}

/** It is not run: a task that it comes after has not succeeded. */
export interface TaskSkipped {
  readonly type: 'task.skipped';
  readonly key: string;
  readonly blockedBy: string;
}

/** A user wants no more of it: an attempt in flight is its last one, and without one none follows. */
export interface TaskCancelled {
  readonly type: 'task.cancelled';
  readonly key: string;
}

/** It had come to its end, and is tried again in the same run: its counters begin at 0, and its attempts count on. */
export interface TaskRequeued {
  readonly type: 'task.requeued';
  readonly key: string;
}

/** The manager lets go of the run. A later `run.opened` goes on. */
export interface RunEnded {
  readonly type: 'run.ended';
  /** `done`: every task has its final outcome. */
  readonly reason:
    | 'done'
    | 'drained'
    | 'aborted'
    | 'fail_fast'
    | 'max_failures'
    | 'setup_failures'
    | 'over_budget'
    | 'timed_out'
    | 'restarts_spent'
    | 'storage_full'
    | 'failed';
}

/** Where rows go, and come from. One process writes at a time. */
export interface Journal {
  /**
   * Appends rows in one transaction; when it resolves they survive a loss of power. Calls that come while one is under way are joined into the next.
   * @throws `RUN_STORAGE_FULL` when there is no room, and nothing of the call was kept
   */
  append(events: readonly JournalEvent[]): Promise<readonly JournalRow[]>;
  /** Rows after a number, in order. */
  read(afterSequence?: number): IterableIterator<JournalRow>;
  close(): Promise<void>;
}
