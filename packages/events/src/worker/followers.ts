import type { Following } from './messages.ts';

/** Which sessions somebody on the main thread follows live, and how patient the others' readers are. */
export class Followers {
  readonly #sessions: Set<string>;
  #all: boolean;
  /** Longest wait of a delta that nobody follows live, in milliseconds. */
  patienceMs: number;

  constructor({ all, sessions, patienceMs }: Following) {
    this.#all = all;
    this.#sessions = new Set(sessions);
    this.patienceMs = patienceMs;
  }

  isLive(sessionId: string): boolean {
    return this.#all || this.#sessions.has(sessionId);
  }

  follow(sessionId: string | null, on: boolean): void {
    if (sessionId === null) this.#all = on;
    else if (on) this.#sessions.add(sessionId);
    else this.#sessions.delete(sessionId);
  }
}
