import type { ErrorCode } from '../../errors/codes.ts';
import { planeOf, type ServerEvent, type ServerEventData, type ServerEventType, type TurnError } from '../events.ts';
import type { Message, Part, PermissionRequest, QuestionRequest, SessionInfo, SessionStatus, SnapshotFileDiff, Todo } from '../types.ts';
import { withUsersLine } from './shell-line.ts';

/** One entry of `POST /sync/history`: a durable event as it was stored. */
export interface WireHistoryEntry {
  readonly id: string;
  readonly aggregate_id: string;
  readonly seq: number;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** Decodes a stored durable event; its type carries a version suffix (`message.updated.1`). */
export function decodeHistoryEntry(entry: WireHistoryEntry): ServerEvent {
  const event = decodePayload(entry.type.replace(/\.\d+$/, ''), entry.id, entry.data, undefined);
  // Stored entries come from a database that older versions wrote: `info` may be missing.
  const directory = 'session' in event.data ? (event.data.session as SessionInfo | undefined)?.directory : undefined;
  return { ...event, sessionId: entry.aggregate_id, durableSequence: entry.seq, ...(directory !== undefined && { directory }) };
}

interface Decoder {
  readonly type: ServerEventType;
  readonly data: (properties: Record<string, unknown>) => ServerEventData[ServerEventType];
}

const decoderOf = <Type extends ServerEventType>(
  type: Type,
  data: (properties: Record<string, unknown>) => ServerEventData[Type],
): Decoder => ({ type, data });

/** From opencode's type to ours and from its properties to our data. A type that is not here becomes `other`. */
const decoders: { readonly [wireType: string]: Decoder } = {
  'session.created': decoderOf('session.created', (p) => ({ session: p['info'] as SessionInfo })),
  'session.updated': decoderOf('session.updated', (p) => ({ session: p['info'] as SessionInfo })),
  'session.deleted': decoderOf('session.deleted', () => ({})),
  'session.status': decoderOf('session.status', (p) => ({ status: p['status'] as SessionStatus })),
  'session.idle': decoderOf('session.idle', () => ({})),
  'session.error': decoderOf('session.error', (p) => ({ error: decodeTurnError(p['error']) })),
  'session.compacted': decoderOf('session.compacted', () => ({})),
  'session.diff': decoderOf('session.diff', (p) => ({ files: (p['diff'] ?? []) as SnapshotFileDiff[] })),
  'todo.updated': decoderOf('todo.updated', (p) => ({ todos: (p['todos'] ?? []) as Todo[] })),
  'permission.asked': decoderOf('permission.asked', (p) => ({ request: p as unknown as PermissionRequest })),
  'permission.replied': decoderOf('permission.replied', (p) => ({ requestId: String(p['requestID']), reply: p['reply'] as 'once' })),
  'question.asked': decoderOf('question.asked', (p) => ({ request: p as unknown as QuestionRequest })),
  'question.replied': decoderOf('question.replied', (p) => ({ requestId: String(p['requestID']), rejected: false })),
  'question.rejected': decoderOf('question.replied', (p) => ({ requestId: String(p['requestID']), rejected: true })),
  'message.updated': decoderOf('message.updated', (p) => ({ message: p['info'] as Message })),
  'message.removed': decoderOf('message.removed', (p) => ({ messageId: String(p['messageID']) })),
  'message.part.updated': decoderOf('part.updated', (p) => ({ part: withUsersLine(p['part'] as Part) })),
  'message.part.removed': decoderOf('part.removed', (p) => ({ messageId: String(p['messageID']), partId: String(p['partID']) })),
  'message.part.delta': decoderOf('part.delta', (p) => ({
    messageId: String(p['messageID']),
    partId: String(p['partID']),
    field: String(p['field']),
    delta: String(p['delta']),
  })),
  'server.connected': decoderOf('server.connected', () => ({})),
  'server.heartbeat': decoderOf('server.heartbeat', () => ({})),
  'server.instance.disposed': decoderOf('server.disposed', () => ({})),
  'global.disposed': decoderOf('server.disposed', () => ({})),
};

/** Our name of one of opencode's types. */
export function typeOf(wireType: string): ServerEventType {
  return Object.hasOwn(decoders, wireType) ? decoders[wireType]!.type : 'other';
}

/** Our data of an event, from opencode's properties. */
export function decodeData(wireType: string, properties: Record<string, unknown>): ServerEventData[ServerEventType] {
  return Object.hasOwn(decoders, wireType) ? decoders[wireType]!.data(properties) : { name: wireType, properties };
}

/** One event, from what opencode's JSON says. */
export function decodePayload(
  wireType: string,
  id: string,
  properties: Record<string, unknown>,
  frameDirectory: string | undefined,
): ServerEvent {
  const type = typeOf(wireType);
  const sessionId = sessionIdOf(properties);
  const directory = frameDirectory ?? (typeof properties['directory'] === 'string' ? properties['directory'] : undefined);
  return {
    type,
    plane: planeOf(type),
    id,
    ...(directory !== undefined && { directory }),
    ...(sessionId !== undefined && { sessionId }),
    data: decodeData(wireType, properties),
  } as ServerEvent;
}

function sessionIdOf(properties: Record<string, unknown>): string | undefined {
  if (typeof properties['sessionID'] === 'string') return properties['sessionID'];
  const nested = (properties['info'] ?? properties['part']) as { sessionID?: unknown } | undefined;
  return typeof nested?.sessionID === 'string' ? nested.sessionID : undefined;
}

const errorKinds: Readonly<Record<string, TurnError['kind']>> = {
  MessageAbortedError: 'aborted',
  APIError: 'provider',
  ContextOverflowError: 'overflow',
};

/** opencode's error union (`{name, data}`) reduced to what an outcome needs. */
export function decodeTurnError(error: unknown): TurnError {
  const { name, data } = (error ?? {}) as { name?: string; data?: Record<string, unknown> };
  const message = typeof data?.['message'] === 'string' ? withoutStack(data['message']) : 'opencode gave no reason';
  // All that it says of a package that could not be installed or loaded.
  if (message.startsWith('Failed to initialize provider: ')) {
    return { kind: 'other', name: 'ProviderInitError', message: `${message}. Its package could not be installed, loaded or set up.` };
  }
  return {
    kind: errorKinds[name ?? ''] ?? 'other',
    name: name ?? 'UnknownError',
    message,
    ...(typeof data?.['statusCode'] === 'number' && { statusCode: data['statusCode'] }),
    ...(typeof data?.['isRetryable'] === 'boolean' && { retryable: data['isRetryable'] }),
  };
}

/** Of some errors opencode tells its own stack too. */
function withoutStack(message: string): string {
  return message.split(/\n\s+at /, 1)[0]!;
}

const codeOfErrorName: Readonly<Record<string, ErrorCode>> = {
  MessageAbortedError: 'TURN_ABORTED',
  ContentFilterError: 'ANSWER_FILTERED',
  MessageOutputLengthError: 'ANSWER_TRUNCATED',
  ProviderInitError: 'PACKAGE_UNAVAILABLE',
};

/** The code that an error of a turn's final message stands for; a finish reason is judged by `judgeFinish`. */
export function codeOfTurnError({ name }: Pick<TurnError, 'name'>): ErrorCode {
  return (Object.hasOwn(codeOfErrorName, name) && codeOfErrorName[name]) || 'TURN_FAILED';
}
