/** Something that will happen in a world. */
export interface Pending {
  readonly atMs: number;
  /** Of two at the same time, the one with the smaller order comes first. */
  readonly order: number;
  readonly label: string;
  /** It keeps nothing going: a world in which only such events are left is at rest. */
  readonly background: boolean;
  readonly run: () => void;
}

export interface EventOptions {
  /** True: background. False: foreground, whatever caused it. Absent: as what caused it. */
  readonly background?: boolean;
}

/**
 * All that will happen, by time. Equal times keep the order in which they were asked for. What a background event causes is background
 * too, unless it says otherwise.
 */
export class EventQueue {
  readonly #heap: Pending[] = [];
  readonly #cancelled = new Set<Pending>();
  #order = 0;
  #foreground = 0;
  #isBackground = false;
  /** When the newest foreground event ran. */
  lastForegroundMs: number;

  /** The time of the event that runs, in milliseconds since the epoch. */
  nowMs: number;

  constructor(startMs: number) {
    this.nowMs = startMs;
    this.lastForegroundMs = startMs;
  }

  /** Foreground events that wait. */
  get foreground(): number {
    return this.#foreground;
  }

  /** What waits, in order; for who wants to look. */
  pending(): Pending[] {
    return this.#heap.filter((one) => !this.#cancelled.has(one)).toSorted(byTime);
  }

  at(atMs: number, label: string, run: () => void, { background = this.#isBackground }: EventOptions = {}): Pending {
    const event: Pending = { atMs: Math.max(atMs, this.nowMs), order: (this.#order += 1), label, background, run };
    if (!background) this.#foreground += 1;
    this.#push(event);
    return event;
  }

  after(delayMs: number, label: string, run: () => void, options?: EventOptions): Pending {
    return this.at(this.nowMs + delayMs, label, run, options);
  }

  /** Takes an event back; one that ran already is left alone. */
  cancel(event: Pending | undefined): void {
    if (!event || this.#cancelled.has(event) || done.has(event)) return;
    this.#cancelled.add(event);
    if (!event.background) this.#foreground -= 1;
  }

  /** When the next event runs; undefined when nothing waits. */
  nextAtMs(): number | undefined {
    this.#dropCancelled();
    return this.#heap[0]?.atMs;
  }

  /** Runs the next event; false when nothing waits. */
  step(): Pending | undefined {
    this.#dropCancelled();
    const event = this.#pop();
    if (!event) return undefined;
    done.add(event);
    this.nowMs = Math.max(this.nowMs, event.atMs);
    if (!event.background) {
      this.#foreground -= 1;
      this.lastForegroundMs = this.nowMs;
    }
    this.#isBackground = event.background;
    event.run();
    return event;
  }

  #dropCancelled(): void {
    while (this.#heap[0] && this.#cancelled.has(this.#heap[0])) this.#cancelled.delete(this.#pop()!);
  }

  #push(event: Pending): void {
    const heap = this.#heap;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (byTime(heap[parent]!, event) <= 0) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): Pending | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && byTime(heap[child + 1]!, heap[child]!) < 0) child += 1;
      if (byTime(last, heap[child]!) <= 0) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

const done = new WeakSet<Pending>();

function byTime(a: Pending, b: Pending): number {
  return a.atMs - b.atMs || a.order - b.order;
}
