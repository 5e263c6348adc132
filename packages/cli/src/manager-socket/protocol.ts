import type { TaskResult, PoolSnapshot, SessionActorState } from '@opencode-manager/actors';
import type { SerializedError } from '@opencode-manager/core';
import type { MonitorEvent } from '@opencode-manager/events';
import * as z from 'zod';

/**
 * What a manager and its clients say to each other on the socket: JSON Lines, each request under an id of the client's.
 * A request is answered by any number of `item` lines and then one `result` or `error` line. Closing the connection
 * aborts what it asked for.
 */
const sessionId = z.string().min(1);
const turn = { sessionId, timeoutMs: z.number().min(1).optional() };

const parameters = {
  /** Who this manager is. */
  describe: z.strictObject({}),
  /** What another client needs to connect to the server; the socket is the user's alone. */
  credentials: z.strictObject({}),
  sessions: z.strictObject({}),
  createSession: z.strictObject({ title: z.string().optional(), directory: z.string().optional() }),
  prompt: z.strictObject({ ...turn, text: z.string() }),
  /** As `prompt`, with what the model says as `item` lines while it says it; the last item is the result. */
  promptStream: z.strictObject({ ...turn, text: z.string() }),
  exec: z.strictObject({ ...turn, command: z.string(), arguments: z.string().optional() }),
  shell: z.strictObject({ ...turn, line: z.string() }),
  revert: z.strictObject({ sessionId, messageId: z.string().optional(), force: z.boolean().optional() }),
  unrevert: z.strictObject({ sessionId }),
  abort: z.strictObject({ sessionId }),
  deleteSession: z.strictObject({ sessionId }),
  /** Streams events as `item` lines until the client goes. */
  events: z.strictObject({
    sessionId: z.array(z.string()).optional(),
    directory: z.string().optional(),
    type: z.array(z.string()).optional(),
    plane: z.enum(['lifecycle', 'stream']).optional(),
  }),
  /** Serves a page of the playground for as long as the client stays; its address, token included, is the one item. */
  page: z.strictObject({ allowControl: z.boolean().optional(), content: z.boolean().optional() }),
} as const;

export type Method = keyof typeof parameters;

/** The parameters of a method. */
export type ParametersOf<Name extends Method> = z.input<(typeof parameters)[Name]>;

interface ManagerDescription {
  readonly managerPid: number;
  readonly runId: string;
  readonly url: string;
  readonly version: string;
  readonly directory: string;
  readonly stateDir: string;
  readonly profile: 'batch' | 'interactive';
  readonly snapshots: boolean;
  readonly pool: Omit<PoolSnapshot, 'sessions'>;
}

export interface SessionListing {
  readonly id: string;
  readonly title: string;
  readonly directory: string;
  /** Present for a sub-agent's session. */
  readonly parentId: string | null;
  /** State of the session's actor; for sessions without one: `active` when the server says that a turn runs. */
  readonly state: SessionActorState;
  /** The actor's whole path, when it has one: `active.running`. */
  readonly path: string | null;
  readonly taskId: string | null;
  readonly turns: number;
  /** ISO 8601 */
  readonly createdAt: string;
  /** ISO 8601 */
  readonly updatedAt: string;
}

interface Credentials {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** A piece of what the model says in a turn. Pieces of a part follow each other without a gap. */
export interface TurnPiece {
  readonly type: 'text' | 'reasoning';
  readonly messageId: string;
  readonly partId: string;
  readonly text: string;
}

/** What each method gives. */
export interface Results {
  describe: ManagerDescription;
  credentials: Credentials;
  sessions: readonly SessionListing[];
  createSession: { readonly sessionId: string; readonly directory: string };
  prompt: TaskResult;
  promptStream: null;
  exec: TaskResult;
  shell: TaskResult;
  revert: { readonly sessionId: string; readonly messageId: string };
  unrevert: { readonly sessionId: string };
  abort: { readonly sessionId: string };
  /** `deleted` is false when there was no such session any more. */
  deleteSession: { readonly sessionId: string; readonly deleted: boolean };
  events: null;
  page: null;
}

/** What a method streams before its result. */
export interface Items {
  promptStream: TurnPiece | { readonly type: 'result'; readonly result: TaskResult };
  events: MonitorEvent;
  page: { readonly url: string };
}

export type Reply =
  | { readonly id: number; readonly type: 'item'; readonly value: unknown }
  | { readonly id: number; readonly type: 'result'; readonly value: unknown }
  | { readonly id: number; readonly type: 'error'; readonly error: SerializedError };

const envelope = z.strictObject({
  id: z.int().min(0),
  method: z.enum(Object.keys(parameters) as [Method, ...Method[]]),
  params: z.unknown().optional(),
});

export type Request = { [Name in Method]: { readonly id: number; readonly method: Name; readonly params: ParametersOf<Name> } }[Method];

export type ParsedRequest =
  | { readonly ok: true; readonly request: Request }
  | { readonly ok: false; readonly id: number; readonly problem: string };

/** Reads one line of a client. */
export function parseRequest(value: unknown): ParsedRequest {
  const outer = envelope.safeParse(value);
  if (!outer.success) return { ok: false, id: idOf(value), problem: describeIssues(outer.error) };
  const { id, method, params } = outer.data;
  const inner = parameters[method].safeParse(params ?? {});
  if (!inner.success) return { ok: false, id, problem: `${method}: ${describeIssues(inner.error)}` };
  return { ok: true, request: { id, method, params: inner.data } as Request };
}

const replySchema = z.union([
  z.strictObject({ id: z.int(), type: z.enum(['item', 'result']), value: z.unknown() }),
  z.strictObject({
    id: z.int(),
    type: z.literal('error'),
    error: z.looseObject({ name: z.literal('OpencodeManagerError'), code: z.string(), message: z.string() }),
  }),
]);

/** Reads one line of a manager; undefined when it is none of ours. */
export function parseReply(value: unknown): Reply | undefined {
  const result = replySchema.safeParse(value);
  return result.success ? (result.data as Reply) : undefined;
}

function idOf(value: unknown): number {
  const id = (value as { id?: unknown } | null)?.id;
  return typeof id === 'number' ? id : 0;
}

function describeIssues(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; ');
}
