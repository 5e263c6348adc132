import type { MonitorEvent } from '../monitor/types.ts';
import { weightOf, withoutSuperseded } from './event-weight.ts';

type Delta = Extract<MonitorEvent, { type: 'part.delta' }>;
type Dropped = Extract<MonitorEvent, { type: 'stream.dropped' }>;

/** Characters of all events that wait for one subscriber. */
const defaultMaxWeight = 32 * 1024 * 1024;

/** Part of the limit that a reduction frees at least, so that its cost is spread over many events. */
const reduceBy = 0.1;

/**
 * Events that wait for one slow subscriber.
 *
 * - Lifecycle events are never left out.
 * - When `limit` stream events wait, deltas of the same part are joined; when that frees too little, the oldest deltas
 *   go, then the oldest other stream events. In their place stands one `stream.dropped` with their number.
 * - When they hold more than `maxWeight` characters, updates of a part that a later one repeats go first, uncounted: a tool's
 *   output comes whole with each of its updates, so that few events can hold any amount. The newest event is never left out.
 * - Order stays as it was. A push costs O(1), spread over the reductions.
 */
export class BoundedBuffer {
  readonly #limit: number;
  readonly #onDropped: (count: number) => void;
  readonly #maxWeight: number;
  #events: MonitorEvent[] = [];
  #head = 0;
  #streamEvents = 0;
  #weight = 0;

  constructor(limit: number, onDropped: (count: number) => void, maxWeight = defaultMaxWeight) {
    this.#limit = limit;
    this.#onDropped = onDropped;
    this.#maxWeight = maxWeight;
  }

  get length(): number {
    return this.#events.length - this.#head;
  }

  push(event: MonitorEvent): void {
    this.#events.push(event);
    if (event.plane !== 'stream') return;
    this.#streamEvents++;
    this.#weight += weightOf(event);
    if (this.#streamEvents > this.#limit || this.#weight > this.#maxWeight) this.#reduce();
  }

  shift(): MonitorEvent | undefined {
    if (this.#head === this.#events.length) return undefined;
    const event = this.#events[this.#head]!;
    this.#head++;
    if (event.plane === 'stream') {
      this.#streamEvents--;
      this.#weight -= weightOf(event);
    }
    // Half of the array is spent: giving it back here keeps a shift at O(1) on average.
    if (this.#head * 2 >= this.#events.length) this.#compact();
    return event;
  }

  clear(): void {
    this.#events = [];
    this.#head = 0;
    this.#streamEvents = 0;
    this.#weight = 0;
  }

  #compact(): void {
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }

  #reduce(): void {
    const waiting = this.#events.slice(this.#head);
    const joined = joinDeltas(this.#weight > this.#maxWeight ? withoutSuperseded(waiting) : waiting);
    const surplus = surplusOf(joined, this.#limit, this.#maxWeight);
    const { kept, dropped } = surplus > 0 ? dropOldest(joined, surplus) : { kept: joined, dropped: 0 };
    this.#events = kept;
    this.#head = 0;
    this.#streamEvents = countStream(kept);
    this.#weight = sumWeight(kept);
    if (dropped > 0) this.#onDropped(dropped);
  }
}

/** Joins each delta to the session's event before it when that is a delta of the same part and field. */
function joinDeltas(events: readonly MonitorEvent[]): MonitorEvent[] {
  const joined: MonitorEvent[] = [];
  const lastDelta = new Map<string, number>();
  for (const event of events) {
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

function sumWeight(events: readonly MonitorEvent[]): number {
  return events.reduce((sum, event) => sum + weightOf(event), 0);
}

/** How many stream events are to go, so that both limits are kept with some room; the newest stays. */
function surplusOf(events: readonly MonitorEvent[], limit: number, maxWeight: number): number {
  const stream = inOrderOfLeaving(events);
  let surplus = Math.max(0, stream.length - Math.floor(limit * (1 - reduceBy)));
  let weight = sumWeight(stream.slice(surplus));
  if (weight <= maxWeight) return surplus;
  while (surplus < stream.length - 1 && weight > maxWeight * (1 - reduceBy)) weight -= weightOf(stream[surplus++]!);
  return surplus;
}

function inOrderOfLeaving(events: readonly MonitorEvent[]): MonitorEvent[] {
  const stream = events.filter(({ plane }) => plane === 'stream');
  return [...stream.filter(({ type }) => type === 'part.delta'), ...stream.filter(({ type }) => type !== 'part.delta')];
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
