import type { Pending } from '../world/queue.ts';
import type { ServerFact } from './facts.ts';
import type { StoredSession } from './storage.ts';
import type { Surroundings } from './surroundings.ts';

export interface BackgroundOptions {
  readonly session: StoredSession;
  readonly emit: (fact: ServerFact) => void;
  /** Some work has ended, and the session is to be told. */
  readonly onEnded: () => void;
}

/** What a turn of 2.x has set to work in the background: each end is told to the session, and answered. */
export class Background {
  readonly #world: Surroundings;
  readonly #options: BackgroundOptions;
  /** With the end that awaits it, of a shell line. */
  readonly #open = new Map<string, Pending | undefined>();
  readonly #untold = new Set<string>();

  constructor(world: Surroundings, options: BackgroundOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** The turn is not over. */
  get isOpen(): boolean {
    return this.#open.size + this.#untold.size > 0;
  }

  /** Its end is known, and not told. */
  get hasNews(): boolean {
    return this.#untold.size > 0;
  }

  /** A shell line that works for so long. Gives its id. */
  beginShell(forMs: number): string {
    const work = this.#world.id('sh');
    const end = () => this.end(work);
    this.#open.set(work, this.#world.queue.after(forMs, `${work} ends`, end, { background: false }));
    return work;
  }

  /** A sub-agent works. */
  beginChild(sessionId: string): void {
    this.#open.set(sessionId, undefined);
  }

  end(work: string): void {
    if (!this.#open.delete(work)) return;
    this.#untold.add(work);
    this.#options.onEnded();
  }

  /** Somebody ends the shell lines. Gives whether there were any. */
  endShells(): boolean {
    const shells = [...this.#open].filter(([, pending]) => pending !== undefined);
    for (const [work, pending] of shells) {
      this.#world.queue.cancel(pending);
      this.end(work);
    }
    return shells.length > 0;
  }

  /** The session is told what has ended. */
  tell(): void {
    const { session, emit } = this.#options;
    for (const work of this.#untold) {
      session.openWork.delete(work);
      session.unended = 'any';
      emit({ type: 'work.told', work });
    }
    this.#untold.clear();
  }

  /** Nobody waits any more: its process is gone, and nothing tells the session of it. */
  drop(): void {
    for (const pending of this.#open.values()) this.#world.queue.cancel(pending);
    this.#open.clear();
    this.#untold.clear();
  }
}
