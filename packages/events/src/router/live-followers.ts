import type { Following, ToStreamTask } from '../worker/messages.ts';
import { wants } from './filter.ts';
import type { Subscription } from './subscriptions.ts';

/** How long a delta may wait that no subscription wants. */
const longestPatienceMs = 15_000;

const aDelta = { type: 'part.delta', plane: 'stream' } as const;

/**
 * Knows whose deltas are wanted within a frame, and tells the stream's thread when that changes: it holds the others back and
 * joins them, so that what nobody reads live does not cross one by one.
 */
export class LiveFollowers {
  readonly #tell: (message: ToStreamTask) => void;
  /** How many follow each session live; all sessions: null. */
  readonly #live = new Map<string | null, number>();
  readonly #patient = new Set<Subscription>();
  #patienceMs = longestPatienceMs;

  constructor(tell: (message: ToStreamTask) => void) {
    this.#tell = tell;
  }

  add(subscription: Subscription): void {
    if (!wantsDeltas(subscription)) return;
    if (subscription.patienceMs > 0) this.#patient.add(subscription);
    else for (const key of keysOf(subscription)) this.#count(key, 1);
    this.#updatePatience();
  }

  remove(subscription: Subscription): void {
    if (!wantsDeltas(subscription)) return;
    if (!this.#patient.delete(subscription)) for (const key of keysOf(subscription)) this.#count(key, -1);
    this.#updatePatience();
  }

  /** For a thread that begins. */
  get following(): Following {
    const sessions = [...this.#live.keys()].filter((key) => key !== null);
    return { all: this.#live.has(null), sessions, patienceMs: this.#patienceMs };
  }

  #count(key: string | null, change: 1 | -1): void {
    const count = (this.#live.get(key) ?? 0) + change;
    if (count > 0) this.#live.set(key, count);
    else this.#live.delete(key);
    const isFirst = change === 1 && count === 1;
    if (isFirst || count === 0) this.#tell({ type: 'follow', sessionId: key, on: isFirst });
  }

  #updatePatience(): void {
    const patienceMs = Math.min(longestPatienceMs, ...[...this.#patient].map((subscription) => subscription.patienceMs));
    if (patienceMs === this.#patienceMs) return;
    this.#patienceMs = patienceMs;
    this.#tell({ type: 'patience', patienceMs });
  }
}

function wantsDeltas({ filter }: Subscription): boolean {
  // Which directory's is known with the event alone.
  return wants({ ...filter, directory: null }, aDelta);
}

function keysOf({ filter }: Subscription): Iterable<string | null> {
  return filter.sessions ?? [null];
}
