import type { Clock } from '../ports.ts';
import type { EventQueue, Pending } from './queue.ts';

/** As the clock of the process: two calls never give the same time. */
const stepMs = 0.001;

/** The time of a world; it moves with the queue alone. */
export class VirtualClock implements Clock {
  readonly #queue: EventQueue;
  readonly #startMs: number;
  readonly #timers = new Set<Pending>();
  #last = 0;

  constructor(queue: EventQueue) {
    this.#queue = queue;
    this.#startMs = queue.nowMs;
  }

  /** Timers that were set and neither fired nor cleared. */
  get liveTimers(): number {
    return this.#timers.size;
  }

  // Bound: hosts pass these on as plain functions.
  readonly now = (): number => (this.#last = Math.max(this.#queue.nowMs, this.#last + stepMs));

  readonly elapsed = (): number => this.#queue.nowMs - this.#startMs;

  readonly setTimeout = (callback: () => void, delayMs: number, { background }: { readonly background?: boolean } = {}): unknown => {
    const fire = () => {
      this.#timers.delete(timer);
      callback();
    };
    const timer: Pending = this.#queue.after(Math.max(0, delayMs || 0), 'timer', fire, background ? { background } : {});
    this.#timers.add(timer);
    return timer;
  };

  readonly clearTimeout = (timer: unknown): void => {
    if (this.#timers.delete(timer as Pending)) this.#queue.cancel(timer as Pending);
  };
}
