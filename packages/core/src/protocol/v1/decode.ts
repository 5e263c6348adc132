import type { ServerEvent, ServerEventData, ServerEventType, TurnError } from '../events.ts';
import type { Message, Part, PermissionRequest, QuestionRequest, SessionInfo, SessionStatus, SnapshotFileDiff, Todo } from '../types.ts';

/** What one SSE record of `/global/event` says. */
export type DecodedFrame =
  | { readonly kind: 'event'; readonly event: ServerEvent }
  /**
   * opencode sends each durable event a second time as a `sync` record: the same id, and its number in the session's
   * durable history. Only id and number are read; the payload (as long as the event itself) is not parsed.
   */
  | { readonly kind: 'sync'; readonly id: string; readonly sessionId: string; readonly durableSequence: number }
  | { readonly kind: 'malformed'; readonly reason: string };

const syncHead = /^"payload":\{"type":"sync","syncEvent":\{"id":"([^"]+)","type":"[^"]*","seq":(\d+),"aggregateID":"([^"]+)"/;

/** Characters after `"payload":` within which a `sync` head stands. */
const syncHeadWindow = 1024;

/**
 * A delta exactly as opencode 1.x writes it. Most events are deltas, and taking one apart by this pattern costs 0.5 us
 * where parsing its JSON costs 3.8; whatever differs from it by a character is parsed.
 */
const deltaRecord =
  /^\{"directory":"([^"\\]*)","project":"[^"\\]*","payload":\{"id":"([^"\\]*)","type":"message\.part\.delta","properties":\{"sessionID":"([^"\\]*)","messageID":"([^"\\]*)","partID":"([^"\\]*)","field":"([^"\\]*)","delta":"([^"\\]*(?:\\.[^"\\]*)*)"\}\}\}$/;

interface WireFrame {
  readonly directory?: string;
  readonly payload?: { readonly id?: string; readonly type?: string; readonly properties?: Record<string, unknown> };
}

/** Decodes the data of one SSE record of `GET /global/event`. Never throws. */
export function decodeFrame(data: string): DecodedFrame {
  return decodeDelta(data) ?? decodeSync(data) ?? decodeJson(data);
}

function decodeDelta(data: string): DecodedFrame | undefined {
  const match = deltaRecord.exec(data);
  if (!match) return undefined;
  const [, directory, id, sessionId, messageId, partId, field, text] = match as unknown as readonly string[];
  const delta = unescape(text!);
  if (delta === undefined) return undefined;
  const event = { type: 'part.delta', plane: 'stream', id, directory, sessionId, data: { messageId, partId, field, delta } } as ServerEvent;
  return { kind: 'event', event };
}

/** The text of a JSON string; undefined when it is not one after all. */
function unescape(text: string): string | undefined {
  if (!text.includes('\\')) return text;
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return undefined;
  }
}

function decodeSync(data: string): DecodedFrame | undefined {
  // The key stands near the start; a search for the whole head would run through the megabytes of a large part.
  const payload = data.indexOf('"payload":');
  if (payload < 0 || !data.startsWith('{"type":"sync"', payload + 10)) return undefined;
  const head = syncHead.exec(data.slice(payload, payload + syncHeadWindow));
  return head ? { kind: 'sync', id: head[1]!, durableSequence: Number(head[2]), sessionId: head[3]! } : undefined;
}

function decodeJson(data: string): DecodedFrame {
  let frame: WireFrame;
  try {
    frame = JSON.parse(data) as WireFrame;
  } catch (error) {
    return { kind: 'malformed', reason: (error as Error).message };
  }
  const payload = frame?.payload;
  if (typeof payload?.type !== 'string') return { kind: 'malformed', reason: 'the record has no payload.type' };
  return { kind: 'event', event: decodePayload(payload.type, payload.id ?? '', payload.properties ?? {}, frame.directory) };
}

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

/** From opencode's type to ours and from its properties to our data. A type that is not here becomes `other`. */
const decoders: {
  readonly [wireType: string]: (properties: Record<string, unknown>) => readonly [ServerEventType, ServerEventData[ServerEventType]];
} = {
  'session.created': (p) => ['session.created', { session: p['info'] as SessionInfo }],
  'session.updated': (p) => ['session.updated', { session: p['info'] as SessionInfo }],
  'session.deleted': () => ['session.deleted', {}],
  'session.status': (p) => ['session.status', { status: p['status'] as SessionStatus }],
  'session.idle': () => ['session.idle', {}],
  'session.error': (p) => ['session.error', { error: decodeTurnError(p['error']) }],
  'session.compacted': () => ['session.compacted', {}],
  'session.diff': (p) => ['session.diff', { files: (p['diff'] ?? []) as SnapshotFileDiff[] }],
  'todo.updated': (p) => ['todo.updated', { todos: (p['todos'] ?? []) as Todo[] }],
  'permission.asked': (p) => ['permission.asked', { request: p as unknown as PermissionRequest }],
  'permission.replied': (p) => ['permission.replied', { requestId: String(p['requestID']), reply: p['reply'] as 'once' }],
  'question.asked': (p) => ['question.asked', { request: p as unknown as QuestionRequest }],
  'question.replied': (p) => ['question.replied', { requestId: String(p['requestID']), rejected: false }],
  'question.rejected': (p) => ['question.replied', { requestId: String(p['requestID']), rejected: true }],
  'message.updated': (p) => ['message.updated', { message: p['info'] as Message }],
  'message.removed': (p) => ['message.removed', { messageId: String(p['messageID']) }],
  'message.part.updated': (p) => ['part.updated', { part: p['part'] as Part }],
  'message.part.removed': (p) => ['part.removed', { messageId: String(p['messageID']), partId: String(p['partID']) }],
  'message.part.delta': (p) => [
    'part.delta',
    { messageId: String(p['messageID']), partId: String(p['partID']), field: String(p['field']), delta: String(p['delta']) },
  ],
  'server.connected': () => ['server.connected', {}],
  'server.heartbeat': () => ['server.heartbeat', {}],
  'server.instance.disposed': () => ['server.disposed', {}],
  'global.disposed': () => ['server.disposed', {}],
};

/** Types whose events go to subscribers alone and may be coalesced or dropped (oldest deltas first, and counted). */
const streamTypes: ReadonlySet<ServerEventType> = new Set(['part.updated', 'part.removed', 'part.delta', 'other', 'server.heartbeat']);

function decodePayload(wireType: string, id: string, properties: Record<string, unknown>, frameDirectory: string | undefined): ServerEvent {
  const decoder = Object.hasOwn(decoders, wireType) ? decoders[wireType] : undefined;
  const [type, data] = decoder ? decoder(properties) : (['other', { name: wireType, properties }] as const);
  const sessionId = sessionIdOf(properties);
  const directory = frameDirectory ?? (typeof properties['directory'] === 'string' ? properties['directory'] : undefined);
  return {
    type,
    plane: streamTypes.has(type) ? 'stream' : 'lifecycle',
    id,
    ...(directory !== undefined && { directory }),
    ...(sessionId !== undefined && { sessionId }),
    data,
  } as ServerEvent;
}

function sessionIdOf(properties: Record<string, unknown>): string | undefined {
  if (typeof properties['sessionID'] === 'string') return properties['sessionID'];
  const nested = (properties['info'] ?? properties['part']) as { sessionID?: unknown } | undefined;
  return typeof nested?.sessionID === 'string' ? nested.sessionID : undefined;
}

/** opencode's error union (`{name, data}`) reduced to what an outcome needs. */
export function decodeTurnError(error: unknown): TurnError {
  const { name, data } = (error ?? {}) as { name?: string; data?: Record<string, unknown> };
  return {
    name: name ?? 'UnknownError',
    message: typeof data?.['message'] === 'string' ? data['message'] : 'opencode gave no reason',
    ...(typeof data?.['statusCode'] === 'number' && { statusCode: data['statusCode'] }),
    ...(typeof data?.['isRetryable'] === 'boolean' && { retryable: data['isRetryable'] }),
  };
}
