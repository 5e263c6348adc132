import {
  isSealed,
  planeOf,
  type ArrivedEvent,
  type ProtocolStream,
  type SealedEvent,
  type ServerEventOf,
} from '@opencode-manager/core/protocol';

type Delta = ServerEventOf<'part.delta'>;

/** An event of a batch, on the main thread: the router numbers it in place, so the key is there already. */
export type BatchedEvent = ArrivedEvent & { sequence: number };

/** A batch as two texts, which cross the thread boundary for less than a structured clone of objects. */
export interface BatchText {
  /** JSON: what is known of the events. */
  readonly heads: string;
  /** The properties of the sealed events, one after the other. */
  readonly bodies: string;
}

/** What all deltas of one part have in common. */
type DeltaSource = Pick<Delta, 'directory' | 'sessionId'> & Omit<Delta['data'], 'delta'>;

/** A delta within a batch: the number of its source, its id and its text. */
type DeltaRow = readonly [source: number, id: string, delta: string];

/** A sealed event within a batch: the numbers of its session and of its type, and how many characters of the bodies are its own. */
type SealedRow = readonly [session: number, id: string, type: number, characters: number, durableSequence?: number];

type Session = Pick<SealedEvent, 'directory' | 'sessionId'>;

/** What a type's name means. */
type EventType = Pick<SealedEvent, 'type' | 'plane' | 'wireType'>;

interface Heads {
  readonly sources: readonly DeltaSource[];
  readonly sessions: readonly Session[];
  /** opencode's own names. */
  readonly types: readonly string[];
  readonly events: readonly (DeltaRow | SealedRow | ArrivedEvent)[];
}

/**
 * Writes a batch. Most events are deltas, and most of a delta is what it shares with the others of its part: that is
 * written once a batch, so the main thread parses a fifth of the characters, and all these deltas hold the same strings.
 * The properties of other events go as they came: the worker does not read them, and the main thread those it needs. What their types
 * mean is looked up once a batch.
 */
export function encodeBatch(events: readonly ArrivedEvent[]): BatchText {
  const sources = new Numbered<DeltaSource>();
  const sessions = new Numbered<Session>();
  const types = new Numbered<string>();
  const bodies: string[] = [];
  const rows = events.map((event) => {
    if (event.type === 'part.delta') return encodeDelta(event, sources);
    if (!isSealed(event)) return event;
    bodies.push(event.properties);
    return encodeSealed(event, sessions, types);
  });
  const heads = JSON.stringify({ sources: sources.values, sessions: sessions.values, types: types.values, events: rows } satisfies Heads);
  return { heads, bodies: bodies.join('') };
}

/** The events of a batch; they are the caller's to change. */
export function decodeBatch({ heads, bodies }: BatchText, { typeOf }: Pick<ProtocolStream, 'typeOf'>): BatchedEvent[] {
  const { sources, sessions, types: names, events } = JSON.parse(heads) as Heads;
  const types = names.map((name) => typeNamed(name, typeOf));
  let start = 0;
  return events.map((event) => {
    if (!isRow(event)) return Object.assign(event, { sequence: 0 });
    if (event.length === 3) return decodeDelta(sources[event[0]]!, event[1], event[2]);
    const end = start + event[3];
    const decoded = decodeSealed(event, sessions[event[0]]!, types[event[2]]!, bodies.slice(start, end));
    start = end;
    return decoded;
  });
}

function encodeDelta({ id, directory, sessionId, data }: Delta, sources: Numbered<DeltaSource>): DeltaRow {
  const { messageId, partId, field, delta } = data;
  // Ids of parts are unique, but nothing rests on it.
  const isSame = (source: DeltaSource) =>
    source.field === field && source.sessionId === sessionId && source.messageId === messageId && source.directory === directory;
  const number = sources.find(partId, isSame) ?? sources.add(partId, { directory, sessionId, messageId, partId, field } as DeltaSource);
  return [number, id, delta];
}

function encodeSealed(
  { id, wireType, directory, sessionId, properties, durableSequence }: SealedEvent,
  sessions: Numbered<Session>,
  types: Numbered<string>,
): SealedRow {
  const session = sessions.find(sessionId, (known) => known.directory === directory) ?? sessions.add(sessionId, { directory, sessionId });
  const type = types.find(wireType) ?? types.add(wireType, wireType);
  const { length } = properties;
  return durableSequence === undefined ? [session, id, type, length] : [session, id, type, length, durableSequence];
}

function typeNamed(wireType: string, typeOf: ProtocolStream['typeOf']): EventType {
  const type = typeOf(wireType) as SealedEvent['type'];
  return { type, plane: planeOf(type), wireType };
}

/** Objects of one shape: the router numbers them in place, and readers stay fast. */
function decodeDelta({ directory, sessionId, messageId, partId, field }: DeltaSource, id: string, delta: string): BatchedEvent {
  const data = { messageId, partId, field, delta };
  if (directory !== undefined && sessionId !== undefined)
    return { sequence: 0, type: 'part.delta', plane: 'stream', id, directory, sessionId, data };
  return {
    sequence: 0,
    type: 'part.delta',
    plane: 'stream',
    id,
    ...(directory !== undefined && { directory }),
    ...(sessionId !== undefined && { sessionId }),
    data,
  };
}

function decodeSealed(
  [, id, , , durableSequence]: SealedRow,
  { directory, sessionId }: Session,
  { type, plane, wireType }: EventType,
  properties: string,
): BatchedEvent {
  const event = { sequence: 0, type, plane, id, directory, sessionId, wireType, properties };
  return durableSequence === undefined ? event : { ...event, durableSequence };
}

function isRow(event: Heads['events'][number]): event is DeltaRow | SealedRow {
  return Array.isArray(event);
}

/** Values that are numbered as they come, and found again by a key. */
class Numbered<Value> {
  readonly values: Value[] = [];
  readonly #newest = new Map<string, number>();

  /** The number of the newest value with this key, when it is the same; without `isSame` the key says all. */
  find(key: string, isSame: (value: Value) => boolean = () => true): number | undefined {
    const number = this.#newest.get(key);
    return number !== undefined && isSame(this.values[number]!) ? number : undefined;
  }

  add(key: string, value: Value): number {
    const number = this.values.push(value) - 1;
    this.#newest.set(key, number);
    return number;
  }
}
