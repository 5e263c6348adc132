import type { ErrorCode } from '../errors/codes.ts';
import type { TurnError } from './facts.ts';
import type { Message, Part } from './messages.ts';
import type { FileDiff, PermissionRequest, QuestionRequest, SessionInfo, SessionStatus, Todo } from './sessions.ts';

/**
 * `lifecycle` events are few and drive state machines; they are never dropped. `stream` events (deltas and part
 * updates) are many; they reach subscribers through bounded buffers and never enter a machine.
 */
export type EventPlane = 'lifecycle' | 'stream';

const codeOfErrorKind: { readonly [Kind in TurnError['kind']]?: ErrorCode } = {
  aborted: 'TURN_ABORTED',
  filtered: 'ANSWER_FILTERED',
  truncated: 'ANSWER_TRUNCATED',
  package: 'PACKAGE_UNAVAILABLE',
};

/** The code that an error of a turn's final message stands for; a finish reason is judged by `judgeFinish`. */
export function codeOfTurnError({ kind }: Pick<TurnError, 'kind'>): ErrorCode {
  return codeOfErrorKind[kind] ?? 'TURN_FAILED';
}

/** An event that says all by its type. */
type NoData = Readonly<Record<string, never>>;

/** The data of each event, by type. */
export interface ServerEventData {
  'session.created': { session: SessionInfo };
  'session.updated': { session: SessionInfo };
  'session.deleted': NoData;
  'session.status': { status: SessionStatus };
  'session.idle': NoData;
  'session.error': { error: TurnError };
  'session.compacted': NoData;
  'session.diff': { files: readonly FileDiff[] };
  'todo.updated': { todos: readonly Todo[] };
  'permission.asked': { request: PermissionRequest };
  'permission.replied': { requestId: string; reply: 'once' | 'always' | 'reject' };
  'question.asked': { request: QuestionRequest };
  'question.replied': { requestId: string; rejected: boolean };
  'message.updated': { message: Message };
  'message.removed': { messageId: string };
  'part.updated': { part: Part };
  'part.removed': { messageId: string; partId: string };
  'part.delta': { messageId: string; partId: string; field: string; delta: string };
  'server.connected': NoData;
  'server.heartbeat': NoData;
  /** One directory's instance (with `directory`) or all of them were disposed: their turns were aborted. */
  'server.disposed': NoData;
  /** Anything else that opencode sends; `name` is its own type. */
  other: { name: string; properties: unknown };
}

export type ServerEventType = keyof ServerEventData;

export interface ServerEventOf<Type extends ServerEventType> {
  readonly type: Type;
  readonly plane: EventPlane;
  /** opencode's id of the event (`evt_...`); the same event never comes twice with two ids. */
  readonly id: string;
  readonly directory?: string;
  readonly sessionId?: string;
  /** Durable events count per session from 0 without gaps; absent on events that opencode does not store. */
  readonly durableSequence?: number;
  readonly data: ServerEventData[Type];
}

/** One decoded event of the server; `type` discriminates. */
export type ServerEvent = { [Type in ServerEventType]: ServerEventOf<Type> }[ServerEventType];

/** Narrows an event by its type. */
export function isEventOf<Type extends ServerEventType>(event: ServerEvent, type: Type): event is Extract<ServerEvent, { type: Type }> {
  return event.type === type;
}

/** Types whose events go to subscribers alone and may be coalesced or dropped (oldest deltas first, and counted). */
const streamTypes: ReadonlySet<ServerEventType> = new Set(['part.updated', 'part.removed', 'part.delta', 'other', 'server.heartbeat']);

/** The plane that events of a type belong to. */
export function planeOf(type: ServerEventType): EventPlane {
  return streamTypes.has(type) ? 'stream' : 'lifecycle';
}
