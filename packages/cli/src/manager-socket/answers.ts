import type { PoolSnapshot, SessionActorState, TaskResult } from '@opencode-manager/actors';
import type { ErrorCode, SerializedError } from '@opencode-manager/core';
import type { MonitorEvent } from '@opencode-manager/events';
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
}

/** What a method streams, event by event. */
export interface Items {
  promptStream: TurnPiece | { readonly type: 'result'; readonly result: TaskResult };
  events: MonitorEvent;
  page: { readonly url: string };
}

/** Statuses of refusals whose code says more than "it failed". */
const statusOfCode: Partial<Record<ErrorCode, number>> = {
  BAD_REQUEST: 400,
  USAGE: 400,
  DIRECTORY_MISSING: 400,
  NOT_FOUND: 404,
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
