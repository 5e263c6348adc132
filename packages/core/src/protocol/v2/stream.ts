import { planeOf, type ServerEvent, type ServerEventType } from '../events.ts';
import type { ProtocolStream } from '../protocol.ts';
import type { DecodedFrame, RecordReader } from '../records.ts';
import { requests } from './requests.ts';
import { SessionMemories } from './session-memory.ts';
import { ended, translators, type Told, type WireData } from './translate.ts';

/**
 * The event stream of opencode 2. A connection is subscribed when it is greeted, each stored event has its number in itself, and nothing is sent
 * again: after a gap the sessions are read.
 */
export const streamV2: ProtocolStream = {
  request: requests.events,
  createReader: () => new RecordReaderV2(),
  // Its events are whole when they leave the reader: none is opened later.
  typeOf: () => 'other',
  open: ({ wireType, properties }) => ({ name: wireType, properties: JSON.parse(properties) as unknown }),
  storedTypes: [],
};

interface WireEvent {
  readonly id?: string;
  readonly type?: string;
  /** Milliseconds since the epoch. */
  readonly created?: number;
  readonly location?: { readonly directory?: string };
  readonly data?: WireData | null;
  readonly durable?: { readonly aggregateID?: string; readonly seq?: number };
}

interface EventPlace {
  readonly directory: string | undefined;
  readonly sessionId: string | undefined;
  readonly durableSequence: number | undefined;
}

/** Events of opencode's that say something about no session. */
const ofTheServer: Readonly<Record<string, ServerEventType>> = { 'server.connected': 'server.connected' };

/**
 * Reads the records of one stream. Never throws. An event tells what changed and no more: what is known of its session makes a whole message or
 * part of it. One event of opencode's may be several of ours; those behind the first have ids made of its own.
 */
class RecordReaderV2 implements RecordReader {
  readonly #sessions = new SessionMemories();

  read(data: string): DecodedFrame {
    let event: WireEvent;
    try {
      event = JSON.parse(data) as WireEvent;
    } catch (error) {
      return { kind: 'malformed', reason: (error as Error).message };
    }
    if (typeof event?.type !== 'string') return { kind: 'malformed', reason: 'the record has no type' };
    return { kind: 'events', events: this.#translate(event.type, event) };
  }

  #translate(wireType: string, { id = '', created = 0, location, data: said, durable }: WireEvent): ServerEvent[] {
    const data = said ?? {};
    const sessionId = sessionIdOf(data);
    const memory = sessionId === undefined ? undefined : this.#sessions.of(sessionId);
    const directory = location?.directory ?? memory?.directory;
    if (memory && directory !== undefined) memory.directory = directory;
    const told = this.#told(wireType, data, { sessionId, eventId: id, atMs: created });
    if (wireType === 'session.deleted' && sessionId !== undefined) this.#sessions.forget(sessionId);
    const number = durable?.aggregateID === sessionId ? durable?.seq : undefined;
    return told.map((one, index) => {
      const place = { directory, sessionId, durableSequence: index === 0 ? number : undefined };
      return eventOf(one, index === 0 ? id : `${id}.${index}`, place);
    });
  }

  #told(
    wireType: string,
    data: WireData,
    said: { readonly sessionId: string | undefined; readonly eventId: string; readonly atMs: number },
  ): readonly Told[] {
    const other: readonly Told[] = [['other', { name: wireType, properties: data }]];
    const { sessionId } = said;
    if (Object.hasOwn(ofTheServer, wireType)) return [[ofTheServer[wireType]!, {}] as Told];
    if (sessionId === undefined || !Object.hasOwn(translators, wireType)) return other;
    const memory = this.#sessions.of(sessionId);
    let told: readonly Told[] = [];
    try {
      told = translators[wireType]!(data, memory, { ...said, sessionId });
    } catch {
      // What is of another form than we know. The end of an execution is one whatever stands in it.
      if (wireType.startsWith('session.execution.') && !wireType.endsWith('started')) told = ended(memory);
    }
    return told.length > 0 ? told : other;
  }
}

function eventOf([type, data]: Told, id: string, { directory, sessionId, durableSequence }: EventPlace): ServerEvent {
  return {
    type,
    plane: planeOf(type),
    id,
    ...(directory !== undefined && { directory }),
    ...(sessionId !== undefined && { sessionId }),
    ...(durableSequence !== undefined && { durableSequence }),
    data,
  } as ServerEvent;
}

function sessionIdOf(data: WireData): string | undefined {
  const { sessionID, form } = data as { readonly sessionID?: unknown; readonly form?: { readonly sessionID?: unknown } };
  const id = sessionID ?? form?.sessionID;
  return typeof id === 'string' ? id : undefined;
}
