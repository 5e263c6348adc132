import { ContainedCall } from './contained.ts';
import type { PoolEvent, PoolEventType } from './types.ts';

/** `Omit` that keeps a union a union. */
type WithoutFrame<Event> = Event extends unknown ? Omit<Event, 'sequence' | 'atMs'> : never;

type Listener = (event: PoolEvent) => void;

/** Numbers the pool's events and calls who listens. What a listener throws is contained. */
export class PoolEvents {
  readonly #listeners = new Map<ContainedCall<PoolEvent>, PoolEventType | '*'>();
  readonly #now: () => number;
  #sequence = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  on(type: PoolEventType | '*', listener: Listener): () => void {
    // A function may listen twice: each call gets a key of its own.
    const own = new ContainedCall('A listener of a pool', listener);
    this.#listeners.set(own, type);
    return () => void this.#listeners.delete(own);
  }

  clear(): void {
    this.#listeners.clear();
  }

  emit(event: WithoutFrame<PoolEvent>): void {
    this.#sequence += 1;
    const framed = { ...event, sequence: this.#sequence, atMs: this.#now() } as PoolEvent;
    for (const [listener, type] of this.#listeners) if (type === '*' || type === event.type) listener.call(framed);
  }
}
