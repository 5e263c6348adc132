import type * as Wire from '@opencode-ai/sdk/v2/types';
import { planeOf, type ServerEvent, type ServerEventData, type ServerEventType } from '../events.ts';
import type { ArrivedEvent } from '../records.ts';
import type { FileDiff, Todo } from '../sessions.ts';
import { decodeMessage, decodePart, decodePermission, decodeQuestion, decodeSession, decodeStatus } from './shapes.ts';
import { withUsersLine } from './shell-line.ts';
import { decodeTurnError } from './turn-error.ts';

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
  const directory = 'session' in event.data ? event.data.session.directory : undefined;
  return { ...event, sessionId: entry.aggregate_id, durableSequence: entry.seq, ...(directory !== undefined && { directory }) };
}

/** Stored events that hold a record, sealed again; an event that names no directory or session stays open. */
export function sealEvent(event: ServerEvent): ArrivedEvent {
  const { id, plane, directory, sessionId, durableSequence } = event;
  const told = recordOf(event);
  if (!told || directory === undefined || sessionId === undefined) return event;
  const { wireType, record } = told;
  const properties = JSON.stringify({ sessionID: sessionId, ...record });
  const type = typeOf(wireType) as Exclude<ServerEventType, 'part.delta'>;
  return { type, plane, id, directory, sessionId, ...(durableSequence !== undefined && { durableSequence }), wireType, properties };
}

function recordOf({ type, data }: ServerEvent): { readonly wireType: string; readonly record: object } | undefined {
  if (type === 'part.updated') return { wireType: 'message.part.updated', record: { part: data.part.raw } };
  if (type === 'message.updated') return { wireType: type, record: { info: data.message.raw } };
  if (type === 'session.created' || type === 'session.updated') return { wireType: type, record: { info: data.session.raw } };
  return undefined;
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
  'session.created': decoderOf('session.created', (p) => ({ session: decodeSession(p['info'] as Wire.Session) })),
  'session.updated': decoderOf('session.updated', (p) => ({ session: decodeSession(p['info'] as Wire.Session) })),
  'session.deleted': decoderOf('session.deleted', () => ({})),
  'session.status': decoderOf('session.status', (p) => ({ status: decodeStatus(p['status'] as Wire.SessionStatus) })),
  'session.idle': decoderOf('session.idle', () => ({})),
  'session.error': decoderOf('session.error', (p) => ({ error: decodeTurnError(p['error']) })),
  'session.compacted': decoderOf('session.compacted', () => ({})),
  'session.diff': decoderOf('session.diff', (p) => ({ files: (p['diff'] ?? []) as FileDiff[] })),
  'todo.updated': decoderOf('todo.updated', (p) => ({ todos: (p['todos'] ?? []) as Todo[] })),
  'permission.asked': decoderOf('permission.asked', (p) => ({ request: decodePermission(p as unknown as Wire.PermissionRequest) })),
  'permission.replied': decoderOf('permission.replied', (p) => ({ requestId: String(p['requestID']), reply: p['reply'] as 'once' })),
  'question.asked': decoderOf('question.asked', (p) => ({ request: decodeQuestion(p as unknown as Wire.QuestionRequest) })),
  'question.replied': decoderOf('question.replied', (p) => ({ requestId: String(p['requestID']), rejected: false })),
  'question.rejected': decoderOf('question.replied', (p) => ({ requestId: String(p['requestID']), rejected: true })),
  'message.updated': decoderOf('message.updated', (p) => ({ message: decodeMessage(p['info'] as Wire.Message) })),
  'message.removed': decoderOf('message.removed', (p) => ({ messageId: String(p['messageID']) })),
  'message.part.updated': decoderOf('part.updated', (p) => ({ part: decodePart(withUsersLine(p['part'] as Wire.Part)) })),
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

/** One event, from what opencode's JSON says; `other` for one whose properties are not of the form that we know. */
export function decodePayload(
  wireType: string,
  id: string,
  properties: Record<string, unknown>,
  frameDirectory: string | undefined,
): ServerEvent {
  const { type, data } = decodeOrOther(wireType, properties);
  const sessionId = sessionIdOf(properties);
  const directory = frameDirectory ?? (typeof properties['directory'] === 'string' ? properties['directory'] : undefined);
  return {
    type,
    plane: planeOf(type),
    id,
    ...(directory !== undefined && { directory }),
    ...(sessionId !== undefined && { sessionId }),
    data,
  } as ServerEvent;
}

function decodeOrOther(
  wireType: string,
  properties: Record<string, unknown>,
): { readonly type: ServerEventType; readonly data: ServerEventData[ServerEventType] } {
  try {
    return { type: typeOf(wireType), data: decodeData(wireType, properties) };
  } catch {
    return { type: 'other', data: { name: wireType, properties } };
  }
}

function sessionIdOf(properties: Record<string, unknown>): string | undefined {
  if (typeof properties['sessionID'] === 'string') return properties['sessionID'];
  const nested = (properties['info'] ?? properties['part']) as { sessionID?: unknown } | undefined;
  return typeof nested?.sessionID === 'string' ? nested.sessionID : undefined;
}
