import type { Reach } from './messages.ts';
import { ownText } from './own-text.ts';

/** Sessions that a history request may name: opencode 1.18 answers 500 beyond 1,000 (the depth of SQLite's expressions). */
const namedSessions = 900;

/** Sessions are remembered at least this long: thousands that work at once would be forgotten and met again all the time. */
const leastGenerationMs = 2000;

export interface SessionPlacesOptions {
  /** Places to begin with, and how far they reach. */
  readonly sequences?: Iterable<readonly [string, number]> | undefined;
  readonly reach?: Reach | undefined;
  /** A session has not been active for long; whoever remembers something of it may forget it too. */
  readonly onForgotten?: (sessionId: string) => void;
  /** Sessions that are named. */
  readonly limit?: number;
  /** Beyond the limit, sessions are remembered for so long, and up to twice of it (milliseconds). */
  readonly generationMs?: number;
}

/**
 * The newest durable sequence of each session that was active lately: two generations, the older of which is forgotten when the
 * younger has half of the limit and some age. So the memory is bounded by the limit, or while they work by how many sessions do
 * something within a few seconds. What was passed on of a forgotten session is not younger than `reach.forgottenId`, so that a
 * replay, which brings such a session from its start, can leave it out.
 */
export class SessionPlaces {
  readonly #limit: number;
  readonly #generationMs: number;
  readonly #onForgotten: (sessionId: string) => void;
  #younger: Map<string, number>;
  #older: Map<string, number>;
  #youngerSinceMs = performance.now();
  /** Newest event that was noted when the younger generation began: those of the older one are not younger. */
  #olderUpToId: string;
  #reach: Reach;
  /** Something was noted since the last {@link settle}. */
  #isBusy = false;

  constructor(options: SessionPlacesOptions = {}) {
    const { sequences, reach, onForgotten = () => undefined, limit = namedSessions, generationMs = leastGenerationMs } = options;
    this.#limit = limit;
    this.#generationMs = generationMs;
    this.#onForgotten = onForgotten;
    const known = [...(sequences ?? [])];
    this.#older = new Map(known.slice(0, -limit / 2));
    this.#younger = new Map(known.slice(-limit / 2));
    this.#reach = reach ?? { newestId: '', forgottenId: '', forgottenSessions: 0 };
    this.#olderUpToId = this.#reach.newestId;
  }

  get reach(): Reach {
    return this.#reach;
  }

  get size(): number {
    return this.#younger.size + this.#older.size;
  }

  get(sessionId: string): number | undefined {
    return this.#younger.get(sessionId) ?? this.#older.get(sessionId);
  }

  has(sessionId: string): boolean {
    return this.get(sessionId) !== undefined;
  }

  /** Notes an event that was passed on; without an id, one that was passed on before its number was known. */
  note(sessionId: string, sequence: number, eventId = this.#reach.newestId): void {
    if (this.#younger.has(sessionId)) {
      // A map keeps the key that came first.
      this.#younger.set(sessionId, sequence);
    } else {
      if (this.#younger.size >= this.#limit / 2) this.#turnWhenOld();
      this.#older.delete(sessionId);
      this.#younger.set(ownText(sessionId), sequence);
    }
    this.#reach.newestId = eventId;
    this.#isBusy = true;
  }

  /** Notes what need not be asked for again, while there is room. */
  noteWhileRoom(sessionId: string, sequence: number): void {
    if (this.#younger.has(sessionId)) this.#younger.set(sessionId, sequence);
    else if (this.#older.has(sessionId) || this.size < this.#limit / 2) this.#older.set(ownText(sessionId), sequence);
  }

  /** To be called now and then. When nothing was noted since the last call, what cannot be named is forgotten. */
  settle(): void {
    if (!this.#isBusy && this.size > this.#limit) this.#keepNamed();
    this.#isBusy = false;
  }

  [Symbol.iterator](): IterableIterator<[string, number]> {
    return new Map([...this.#older, ...this.#younger]).entries();
  }

  /** The places that a request may name: those of the sessions that were active last. */
  named(): (readonly [string, number])[] {
    return [...this].slice(-this.#limit);
  }

  /** Sessions whose past a replay brings from its start, because they cannot be named; one that was met twice counts twice. */
  get unnamed(): number {
    return this.#reach.forgottenSessions + Math.max(0, this.size - this.#limit);
  }

  #turnWhenOld(): void {
    const nowMs = performance.now();
    if (nowMs - this.#youngerSinceMs < this.#generationMs) return;
    this.#youngerSinceMs = nowMs;
    this.#turn();
  }

  #turn(): void {
    const forgotten = this.#older;
    const upToId = this.#olderUpToId;
    this.#older = this.#younger;
    this.#younger = new Map();
    this.#olderUpToId = ownText(this.#reach.newestId);
    this.#forget([...forgotten.keys()], upToId);
  }

  #keepNamed(): void {
    const all = [...this];
    this.#older = new Map();
    this.#younger = new Map(all.splice(-this.#limit));
    this.#forget(
      all.map(([sessionId]) => sessionId),
      ownText(this.#reach.newestId),
    );
  }

  /** What was passed on of these is not younger than the event with this id. */
  #forget(sessionIds: readonly string[], upToId: string): void {
    if (sessionIds.length > 0) this.#reach.forgottenId = upToId;
    this.#reach.forgottenSessions += sessionIds.length;
    for (const sessionId of sessionIds) this.#onForgotten(sessionId);
  }
}
