import type { MonitorEvent } from '../monitor/types.ts';

type Delta = Extract<MonitorEvent, { type: 'part.delta' }>;
type Dropped = Extract<MonitorEvent, { type: 'stream.dropped' }>;

/** Part of the limit that a reduction frees at least, so that its cost is spread over many events. */
const reduceBy = 0.1;

/**
 * Events that wait for one slow subscriber.
 *
 * - Lifecycle events are never left out.
 * - When `limit` stream events wait, deltas of the same part are joined; when that frees too little, the oldest deltas
 *   go, then the oldest other stream events. In their place stands one `stream.dropped` with their number.
 * - Order stays as it was. A push costs O(1), spread over the reductions.
 */
export class BoundedBuffer {
  readonly #limit: number;
  readonly #onDropped: (count: number) => void;
  #events: MonitorEvent[] = [];
  #head = 0;
  #streamEvents = 0;

  constructor(limit: number, onDropped: (count: number) => void) {
    this.#limit = limit;
    this.#onDropped = onDropped;
  }

  get length(): number {
    return this.#events.length - this.#head;
  }

  push(event: MonitorEvent): void {
    this.#events.push(event);
    if (event.plane === 'stream' && ++this.#streamEvents > this.#limit) this.#reduce();
  }

  shift(): MonitorEvent | undefined {
    if (this.#head === this.#events.length) return undefined;
    const event = this.#events[this.#head]!;
    this.#head++;
    if (event.plane === 'stream') this.#streamEvents--;
    // Half of the array is spent: giving it back here keeps a shift at O(1) on average.
    if (this.#head * 2 >= this.#events.length) this.#compact();
    return event;
  }

  clear(): void {
    this.#events = [];
    this.#head = 0;
    this.#streamEvents = 0;
  }

  #compact(): void {
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }

  #reduce(): void {
    const target = Math.floor(this.#limit * (1 - reduceBy));
    const joined = joinDeltas(this.#events, this.#head);
    const surplus = countStream(joined) - target;
    const { kept, dropped } = surplus > 0 ? dropOldest(joined, surplus) : { kept: joined, dropped: 0 };
    this.#events = kept;
    this.#head = 0;
    this.#streamEvents = countStream(kept);
    if (dropped > 0) this.#onDropped(dropped);
  }
}

/** Joins each delta to the session's event before it when that is a delta of the same part and field. */
function joinDeltas(events: readonly MonitorEvent[], from: number): MonitorEvent[] {
  const joined: MonitorEvent[] = [];
  const lastDelta = new Map<string, number>();
  for (let index = from; index < events.length; index++) {
    const event = events[index]!;
    const session = event.sessionId ?? '';
    const place = event.type === 'part.delta' ? lastDelta.get(session) : undefined;
    const last = place === undefined ? undefined : (joined[place] as Delta);
    if (event.type === 'part.delta' && last && last.data.partId === event.data.partId && last.data.field === event.data.field) {
      // Other subscribers hold the same objects: a joined delta is a new one. It keeps the number of its place.
      joined[place!] = { ...event, sequence: last.sequence, data: { ...event.data, delta: last.data.delta + event.data.delta } };
      continue;
    }
    if (event.type === 'part.delta') lastDelta.set(session, joined.length);
    else lastDelta.delete(session);
    joined.push(event);
  }
  return joined;
}

function countStream(events: readonly MonitorEvent[]): number {
  let count = 0;
  for (const event of events) if (event.plane === 'stream') count++;
  return count;
}

/** Takes out the oldest deltas, then the oldest other stream events, and notes their number in their place. */
function dropOldest(events: readonly MonitorEvent[], surplus: number): { kept: MonitorEvent[]; dropped: number } {
  const deltas = Math.min(surplus, events.filter((event) => event.type === 'part.delta').length);
  let deltasLeft = deltas;
  let othersLeft = surplus - deltas;
  const kept: MonitorEvent[] = [];
  for (const event of events) {
    const isDelta = event.type === 'part.delta';
    const goes = event.plane === 'stream' && (isDelta ? deltasLeft-- > 0 : othersLeft-- > 0);
    if (goes) noteDropped(kept, event);
    else if (event.type === 'stream.dropped') mergeNotice(kept, event);
    else kept.push(event);
  }
  return { kept, dropped: surplus };
}

function noteDropped(kept: MonitorEvent[], event: MonitorEvent): void {
  const notice = {
    sequence: event.sequence,
    type: 'stream.dropped',
    plane: 'lifecycle',
    count: 1,
    ...(event.sessionId !== undefined && { sessionId: event.sessionId }),
  } as const;
  mergeNotice(kept, notice);
}

/** Neighbouring losses are one notice, which names a session only when all of them were that session's. */
function mergeNotice(kept: MonitorEvent[], notice: Dropped): void {
  const last = kept.at(-1);
  if (last?.type !== 'stream.dropped') return void kept.push(notice);
  const { sessionId: _, ...rest } = last;
  const sameSession = last.sessionId !== undefined && last.sessionId === notice.sessionId;
  kept[kept.length - 1] = {
    ...rest,
    count: last.count + notice.count,
    sequence: notice.sequence,
    ...(sameSession && { sessionId: last.sessionId }),
  };
}
