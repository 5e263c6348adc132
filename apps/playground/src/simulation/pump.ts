import type { World } from '@opencode-manager/simulation';

/** Resolves when no promise is left that can settle by itself. */
export type Drain = () => Promise<void>;

/** A task of the event loop comes after all microtasks before it. */
export function createDrain(): Drain {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.addEventListener('message', () => waiting.shift()?.());
  port1.start();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}

/** Moves a world: one event, then whatever promises it settles, one mover at a time. */
export class Pump {
  readonly #world: World;
  readonly #drain: Drain;
  #work: Promise<void> = Promise.resolve();

  constructor(world: World, drain: Drain) {
    this.#world = world;
    this.#drain = drain;
  }

  /** Lets so much time pass, in milliseconds; less when `isOver` says so after an event. */
  pass(ms: number, isOver: () => boolean = () => false): Promise<void> {
    return (this.#work = this.#work.then(() => this.#pass(ms, isOver)));
  }

  async #pass(ms: number, isOver: () => boolean): Promise<void> {
    const { queue } = this.#world;
    await this.#drain();
    const end = queue.after(ms, 'the time has passed', () => undefined, { background: true });
    while (!isOver()) {
      const event = queue.step();
      await this.#drain();
      if (event === end) return;
    }
    queue.cancel(end);
  }
}
