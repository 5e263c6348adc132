import type { JournalRow } from '../journal/events.ts';

/** What all attempts of a run have used, those of earlier managers too. */
export interface RunTotals {
  readonly usage: {
    readonly input_tokens: number;
    readonly output_tokens: number;
    readonly reasoning_tokens: number;
    readonly cache_read_tokens: number;
    readonly cache_write_tokens: number;
  };
  /** null when the price of one attempt is not known: a part of the truth would pass for all of it. */
  readonly costUsd: number | null;
  /** The sum of the prices that are known. */
  readonly knownCostUsd: number;
  readonly attempts: number;
}

/** Sums attempts up as they end. */
export class Totals {
  readonly #usage = { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };
  #cost = 0;
  #isKnown = true;
  #attempts = 0;

  add({ event }: JournalRow): void {
    if (event.type !== 'attempt.ended') return;
    const { usage, cost_usd: cost } = event.result;
    for (const name of Object.keys(this.#usage) as (keyof RunTotals['usage'])[]) this.#usage[name] += usage[name] ?? 0;
    this.#cost += cost ?? 0;
    if (cost === null) this.#isKnown = false;
    this.#attempts += 1;
  }

  now(): RunTotals {
    const cost = this.#cost;
    return { usage: { ...this.#usage }, costUsd: this.#isKnown ? cost : null, knownCostUsd: cost, attempts: this.#attempts };
  }
}
