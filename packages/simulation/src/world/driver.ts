import type { World } from './world.ts';

/** How a world is moved. */
export interface DriverOptions {
  /** Resolves when no promise is left that can settle without the world. */
  readonly drain: () => Promise<void>;
  /** What went wrong outside of all promises that the world knows, since the last call. */
  readonly uncaught?: () => readonly string[];
}

/** A world that lasts longer than this hangs, in milliseconds. */
const longestMs = 24 * 3600_000;

/** Without a foreground event for so long, nothing will come any more, in milliseconds. */
const quietMs = 600_000;

/** Moves a world, event after event, and finds out when nothing will come of it any more. */
export class Driver {
  /** What did not settle. */
  hang: string | undefined;
  steps = 0;
  readonly uncaught: string[] = [];
  readonly #world: World;
  readonly #options: DriverOptions;
  readonly #mostSteps: number;

  /** @param mostSteps a world of more events runs away */
  constructor(world: World, options: DriverOptions, mostSteps: number) {
    this.#world = world;
    this.#options = options;
    this.#mostSteps = mostSteps;
  }

  /** Runs event after event until something is so; false when it cannot become so any more. */
  async until(isSo: () => boolean, what: string | (() => string)): Promise<boolean> {
    const { queue, clock } = this.#world;
    for (;;) {
      await this.#options.drain();
      this.uncaught.push(...(this.#options.uncaught?.() ?? []));
      if (isSo()) return true;
      const isLate = clock.elapsed() > longestMs;
      const isQuiet = queue.foreground === 0 && queue.nowMs - queue.lastForegroundMs > quietMs;
      if (isLate || isQuiet || this.steps >= this.#mostSteps || !this.#world.step()) {
        this.hang = typeof what === 'string' ? what : what();
        return false;
      }
      this.steps += 1;
    }
  }
}
