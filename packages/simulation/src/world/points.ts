import type { Point, When } from '../plan/types.ts';
import type { EventQueue, Pending } from './queue.ts';

interface Waiting {
  readonly nth: number;
  readonly afterMs: number;
  readonly run: () => void;
}

/** Moments that a plan refers to: times, and whiles after something that the server did. */
export class Points {
  readonly #queue: EventQueue;
  readonly #startMs: number;
  readonly #counts = new Map<Point, number>();
  readonly #waiting = new Map<Point, Waiting[]>();
  readonly #scheduled = new Set<Pending>();

  constructor(queue: EventQueue) {
    this.#queue = queue;
    this.#startMs = queue.nowMs;
  }

  /** What is at a time of its own and has not run. */
  get scheduled(): number {
    return this.#scheduled.size;
  }

  at(when: When, label: string, run: () => void): void {
    if ('atMs' in when) return this.#schedule(this.#startMs + when.atMs, label, run);
    const waiting = this.#waiting.get(when.point) ?? [];
    this.#waiting.set(when.point, waiting);
    waiting.push({ nth: when.nth, afterMs: when.afterMs, run });
  }

  hit(point: Point): void {
    const count = (this.#counts.get(point) ?? 0) + 1;
    this.#counts.set(point, count);
    for (const { nth, afterMs, run } of this.#waiting.get(point) ?? [])
      if (nth === count) this.#schedule(this.#queue.nowMs + afterMs, `after ${point}`, run);
  }

  #schedule(atMs: number, label: string, run: () => void): void {
    const event = this.#queue.at(
      atMs,
      label,
      () => {
        this.#scheduled.delete(event);
        run();
      },
      { background: false },
    );
    this.#scheduled.add(event);
  }
}
