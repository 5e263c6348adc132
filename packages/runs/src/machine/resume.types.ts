import type { Outcome } from '@opencode-manager/actors';
import type { SerializedError } from '@opencode-manager/core/errors';
import type { JournalEvent } from '../journal/events.ts';
import type { Taken } from './run.types.ts';
import type { TaskRecord } from './task-record.ts';

/** A task as the source names it now. */
export interface SourceTask {
  readonly key: string;
  readonly hash: string;
  /** A digest of each field that the hash covers; see `TaskAdded.fields`. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly after: readonly string[];
  readonly retries: number;
  /** Its limits by name, in the units of `AttemptEnded.limit`; one that is absent is no limit. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** What a resume does beyond its rules. */
export interface ResumePolicy {
  /** What to do about a task with another hash than before. `fail` (default): refuse; `rerun`: run it anew; `keep`: keep what it has. */
  readonly changed?: 'fail' | 'rerun' | 'keep';
  /** Runs tasks again that ended without success: all, or those with one of these outcomes. */
  readonly retryErrors?: true | readonly Outcome[];
  /** The wait after the time at which a quota is free again, in milliseconds. Default 45,000. */
  readonly quotaMarginMs?: number;
  /** Keys of tasks that run again, whatever became of them. */
  readonly redo?: readonly string[];
}

/**
 * What becomes of a task. `reuse`: it has succeeded. `new`: never seen before. `run`: a new attempt. `look`: its attempt was in flight;
 * its session is read first. `skip`: its end stays. `drop`: the source names it no more.
 */
export type ResumeDecision = 'reuse' | 'new' | 'run' | 'look' | 'skip' | 'drop';

/** What a resume does about one task, and why: a line of `ocm resume --explain`. */
export interface ResumeLine {
  readonly key: string;
  readonly decision: ResumeDecision;
  /** A sentence. */
  readonly why: string;
  /** How its newest attempt ended; null before that. */
  readonly outcome: Outcome | null;
}

/** A task of the run as it begins, or goes on. */
export interface PlannedTask extends TaskRecord {
  readonly decision: Exclude<ResumeDecision, 'drop'>;
  /** No attempt before this time; null for at once. */
  readonly notBeforeMs: number | null;
}

/** What the next manager of a run begins with. */
export interface ResumePlan {
  /** Its number. */
  readonly generation: number;
  /** Rows that it commits before anything else. */
  readonly events: readonly JournalEvent[];
  /** In the order of the source, as they are after these rows. */
  readonly tasks: readonly PlannedTask[];
  readonly dropped: number;
  /** What all attempts have taken so far, and each of the newest. */
  readonly spent: Taken;
  readonly samples: readonly Taken[];
  /** Tasks in the order of the source, then those that are dropped. */
  readonly lines: readonly ResumeLine[];
}

/** A plan, or why there is none. */
export type Planned =
  | { readonly plan: ResumePlan; readonly refusal: null }
  /** `TASKS_CHANGED`, `TASK_UNKNOWN`, `TASK_ORDER_INVALID`, `TASK_DUPLICATE`: nothing is to be started. */
  | { readonly plan: null; readonly refusal: SerializedError };
