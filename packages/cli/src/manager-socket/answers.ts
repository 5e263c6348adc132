import type { Outcome, PoolSnapshot, SessionActorState, TaskResult } from '@opencode-manager/actors';
import type { ErrorCode, SerializedError } from '@opencode-manager/core';
import type { MonitorEvent } from '@opencode-manager/events';
import type { JournalEvent, RunStanding, RunSummary, TaskChange, TaskStandingState } from '@opencode-manager/runs';
import * as z from 'zod';

interface ManagerDescription {
  /** Major version of the protocol. */
  readonly protocol: number;
  readonly pid: number;
  readonly manager_run_id: string;
  readonly url: string;
  /** Of opencode. */
  readonly opencode_version: string;
  readonly directory: string;
  readonly state_dir: string;
  readonly profile: 'batch' | 'interactive';
  readonly snapshots: boolean;
  readonly pool: {
    readonly state: PoolSnapshot['state'];
    readonly max_sessions: number;
    readonly queued: number;
    readonly active: number;
    readonly finished: number;
  };
}

export interface SessionListing {
  readonly id: string;
  readonly title: string;
  readonly directory: string;
  /** Present for a sub-agent's session. */
  readonly parent_id: string | null;
  /** State of the session's actor; for sessions without one: `active` when the server says that a turn runs. */
  readonly state: SessionActorState;
  /** The actor's whole path, when it has one: `active.running`. */
  readonly path: string | null;
  readonly task_id: string | null;
  readonly turns: number;
  /** ISO 8601 */
  readonly created_at: string;
  /** ISO 8601 */
  readonly updated_at: string;
}

interface Credentials {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** A piece of what the model says in a turn. Pieces of a part follow each other without a gap. */
export interface TurnPiece {
  readonly type: 'text' | 'reasoning';
  readonly message_id: string;
  readonly part_id: string;
  readonly text: string;
}

/** How a run stands now. */
export interface RunView {
  readonly id: string;
  /** null for one that keeps nothing. */
  readonly run_dir: string | null;
  /** Of its manager. */
  readonly pid: number;
  readonly state: RunStanding['state'] | 'ended';
  readonly concurrency: number;
  readonly timeout_ms: number | null;
  /** What the run may take as a whole, and has taken. */
  readonly limits: { readonly tokens: number | null; readonly usd: number | null };
  readonly spent: { readonly tokens: number; readonly usd: number };
  /** Attempts in flight, and tasks that wait. */
  readonly running: number;
  readonly waiting: number;
  /** Why nothing starts although tasks wait. */
  readonly holding: string | null;
  /** By the outcome of the newest attempt of each task. */
  readonly counts: {
    readonly total: number;
    readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
    readonly skipped: number;
    readonly not_started: number;
    readonly reused: number;
    readonly dropped: number;
  };
  /** null until it has ended. */
  readonly summary: RunEnding | null;
}

/** How a run has ended. */
interface RunEnding {
  readonly reason: RunSummary['reason'];
  readonly why: string | null;
  readonly error: SerializedError | null;
  readonly succeeded_first_try: number;
  readonly succeeded_after_retry: number;
  /** Of all attempts. */
  readonly attempts: number;
  readonly usage: TaskResult['usage'];
  readonly cost_usd: number | null;
  readonly known_cost_usd: number;
  readonly parked_ms: number;
}

/** A run that a manager has begun for a client. */
export interface StartedRun {
  readonly run: string;
  readonly run_dir: string | null;
  readonly pid: number;
  readonly total: number;
  readonly concurrency: number;
}

export interface TaskView {
  readonly key: string;
  readonly state: TaskStandingState;
  readonly attempt: number;
  readonly session_id: string | null;
  readonly outcome: Outcome | null;
  readonly error_code: string | null;
  readonly blocked_by: string | null;
  readonly cancelled: boolean;
}

/** Whether a wish changed something: one that comes twice changes nothing the second time. */
interface Changed {
  readonly run: string;
  readonly changed: boolean;
}

interface Setting {
  readonly before: number | null;
  readonly now: number | null;
}

export interface ConfiguredRun {
  readonly run: string;
  readonly concurrency?: Setting;
  readonly timeout_ms?: Setting;
  readonly tokens?: Setting;
  readonly usd?: Setting;
}

/** A row of the journal of a run: its number, its time (ISO 8601), and what it says. */
export interface RowView {
  readonly seq: number;
  readonly at: string;
  readonly type: JournalEvent['type'];
  readonly key?: string;
  readonly [name: string]: unknown;
}

/** What each method that does not stream gives. */
export interface Results {
  describe: ManagerDescription;
  credentials: Credentials;
  sessions: readonly SessionListing[];
  createSession: { readonly session_id: string; readonly directory: string };
  prompt: TaskResult;
  exec: TaskResult;
  shell: TaskResult;
  revert: { readonly session_id: string; readonly message_id: string };
  unrevert: { readonly session_id: string };
  abort: { readonly session_id: string };
  /** `deleted` is false when there was no such session any more. */
  deleteSession: { readonly session_id: string; readonly deleted: boolean };
  runs: readonly RunView[];
  startRun: StartedRun;
  run: RunView;
  pauseRun: Changed;
  resumeRun: Changed;
  cancelRun: Changed;
  configureRun: ConfiguredRun;
  providers: readonly ProviderView[];
  pauseProviders: readonly ProviderChange[];
  resumeProviders: readonly ProviderChange[];
  runTasks: readonly TaskView[];
  cancelTasks: readonly TaskChange[];
  requeueTasks: readonly TaskChange[];
}

/** What a method streams, event by event. */
export interface Items {
  promptStream: TurnPiece | { readonly type: 'result'; readonly result: TaskResult };
  events: MonitorEvent;
  page: { readonly url: string };
  runEvents: RowView;
}

/** A provider account of a run. */
export interface ProviderView {
  readonly id: string;
  /** Attempts at once at most; null for no bound of its own. */
  readonly limit: number | null;
  /** Nothing that asks it starts before (ISO 8601). */
  readonly held_until: string | null;
  readonly is_paused: boolean;
  readonly running: number;
  readonly waiting: number;
}

interface ProviderChange {
  readonly provider: string;
  /** False when it was so already. */
  readonly changed: boolean;
}

/** What a stream ends with: the data of its last event. */
export interface Ends {
  promptStream: null;
  events: null;
  page: null;
  /** With `follow`: how the run has ended. */
  runEvents: RunView | null;
}

/** Statuses of refusals whose code says more than "it failed". */
const statusOfCode: Partial<Record<ErrorCode, number>> = {
  BAD_REQUEST: 400,
  USAGE: 400,
  DIRECTORY_MISSING: 400,
  CONFIG_INVALID: 400,
  NOT_FOUND: 404,
  RUN_UNSUITED: 409,
  RUN_UNKNOWN: 404,
  TASK_UNKNOWN: 404,
  MESSAGE_UNKNOWN: 404,
  PLAYGROUND_UNAVAILABLE: 404,
  SESSION_BUSY: 409,
  REQUEST_ABORTED: 503,
};

/** The status that goes with an error. What is not named here is a failure of the manager or its server. */
export function statusOf({ code }: Pick<SerializedError, 'code'>): number {
  return statusOfCode[code] ?? 500;
}

/** Body of an answer with a status of 400 and above, and data of the event `error` of a stream. */
export interface ErrorBody {
  readonly error: SerializedError;
}

const errorBody = z.object({
  error: z.looseObject({ name: z.literal('OpencodeManagerError'), code: z.string(), message: z.string() }),
});

/** The error that a text holds; undefined when it is none of ours. */
export function readErrorBody(text: string): SerializedError | undefined {
  try {
    const read = errorBody.safeParse(JSON.parse(text));
    return read.success ? (read.data.error as SerializedError) : undefined;
  } catch {
    return undefined;
  }
}
