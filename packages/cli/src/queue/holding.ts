import type { Ledger } from '@opencode-manager/queue';
import { unableFor, type ToldWorker } from './told-worker.ts';

/** How often is asked why nothing starts, in milliseconds. */
const askMs = 3000;

export interface HoldingOptions {
  readonly ledger: Ledger;
  readonly run: string;
  /** Digest of the run's opencode configuration. */
  readonly configuration: string;
  /** That its tasks ask. */
  readonly providers: ReadonlySet<string>;
}

/** Why nothing of a run starts although tasks wait: what the queue says, a few seconds old. */
export class Holding implements Disposable {
  readonly #options: HoldingOptions;
  readonly #timer: NodeJS.Timeout;
  #why: string | null = null;

  constructor(options: HoldingOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#ask(), askMs);
    void this.#ask();
  }

  /** In words; null when something may start, or nobody knows. */
  get why(): string | null {
    return this.#why;
  }

  async #ask(): Promise<void> {
    try {
      this.#why = await whyHeld(this.#options);
    } catch {
      this.#why = 'the queue does not answer';
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Why nothing of a run starts; null when something may. */
export async function whyHeld({ ledger, run, configuration, providers }: HoldingOptions): Promise<string | null> {
  const [{ isPaused, isCancelled }, workers, holds] = await Promise.all([ledger.wishes(run), ledger.workers(), ledger.holds()]);
  if (isCancelled) return 'it is cancelled';
  if (isPaused) return 'it is paused';
  const suited = workers.map(({ told }) => JSON.parse(told) as ToldWorker).filter((one) => one.configuration === configuration);
  if (suited.length === 0) return 'no worker has its opencode configuration';
  const unable = unableFor(run, suited);
  if (unable.length === suited.length) return `no worker can begin its tasks: ${unable[0]!.why}`;
  const asked = Object.entries(holds).filter(([provider]) => providers.has(provider));
  const [held] = asked.toSorted(([, a], [, b]) => a - b);
  return held ? `held by ${held[0]} until ${new Date(held[1]).toTimeString().slice(0, 5)}` : null;
}
