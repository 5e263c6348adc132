import type { SessionPool } from '@opencode-manager/actors';
import type { Clock } from '@opencode-manager/actors/hosts';

/** A session whose attempt is over. */
export interface SpentSession {
  readonly id: string;
  /** Whether its turn is proven to be over: then it is deleted with one request. Else whatever still runs in it is ended first. */
  readonly isIdle: boolean;
}

/** Pause after a deletion, in times of its length: all of them together take a small part of a server that is at work. */
const pauseRatio = 24;

/** Deletes the sessions that a run needs no more, one after the other, in the time that its tasks leave. One that is not deleted does no harm. */
export class SessionSweep {
  readonly #pool: Pick<SessionPool, 'serverOf'>;
  readonly #clock: Clock;
  readonly #waiting: SpentSession[] = [];
  #deleting: Promise<void> | undefined;
  #timer: unknown;
  #isEnding = false;

  constructor(pool: Pick<SessionPool, 'serverOf'>, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  add(session: SpentSession): void {
    this.#waiting.push(session);
    this.#goOn();
  }

  /** Deletes those that wait without a pause, for at most so many milliseconds; 0 leaves them, for a server whose state goes as a whole. */
  async finish(withinMs: number): Promise<void> {
    this.#isEnding = true;
    this.#clock.clearTimeout(this.#timer);
    const untilMs = this.#clock.elapsed() + withinMs;
    await this.#deleting;
    for (let session = this.#waiting.shift(); session && this.#clock.elapsed() < untilMs; session = this.#waiting.shift())
      await this.#delete(session);
  }

  #goOn(): void {
    if (this.#isEnding || this.#deleting || this.#timer !== undefined) return;
    const session = this.#waiting.shift();
    if (session) this.#deleting = this.#deleteSlowly(session);
  }

  async #deleteSlowly(session: SpentSession): Promise<void> {
    const sinceMs = this.#clock.elapsed();
    await this.#delete(session);
    this.#deleting = undefined;
    if (this.#isEnding) return;
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = undefined;
        this.#goOn();
      },
      pauseRatio * (this.#clock.elapsed() - sinceMs),
    );
  }

  async #delete({ id, isIdle }: SpentSession): Promise<void> {
    const server = this.#pool.serverOf(id);
    // From the directory of the server, which has a session wherever it works: its own may have been removed.
    await (isIdle ? server.operations(id).delete() : server.deleteSession(id)).catch(() => undefined);
  }
}
