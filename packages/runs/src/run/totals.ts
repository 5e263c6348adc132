import type { TaskResult } from '@opencode-manager/actors';
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
  /** How long tasks have waited for quotas, added up, in milliseconds. Working time stands still meanwhile. */
  readonly parkedMs: number;
}

type Spent = Pick<TaskResult, 'usage' | 'cost_usd' | 'cost_known_usd' | 'parked_ms'>;

/** Sums attempts up as they end. */
export class Totals {
  readonly #usage = { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };
  #cost = 0;
  #isKnown = true;
  #attempts = 0;
  #parkedMs = 0;
  /** What ends told after which a task may go on in its session: the next end tells it again, as a part of its own. */
  readonly #parts = new Map<string, Spent>();

  add({ event }: JournalRow): void {
    if (event.type !== 'attempt.ended') return;
    const { key, result, continues, outcome, final } = event;
    const before = continues === undefined ? undefined : this.#parts.get(key);
    if (before) this.#count(before, -1);
    this.#count(result, 1);
    const { usage, cost_usd, cost_known_usd, parked_ms } = result;
    const mayGoOn = !final && (outcome === 'quota_exhausted' || continues !== undefined);
    if (mayGoOn)
      this.#parts.set(key, {
        usage,
        cost_usd,
        ...(cost_known_usd !== undefined && { cost_known_usd }),
        ...(parked_ms !== undefined && { parked_ms }),
      });
    else this.#parts.delete(key);
    if (result.cost_usd === null) this.#isKnown = false;
    this.#attempts += 1;
  }

  #count({ usage, cost_usd: cost, cost_known_usd: known = 0, parked_ms: parkedMs = 0 }: Spent, by: 1 | -1): void {
    for (const name of Object.keys(this.#usage) as (keyof RunTotals['usage'])[]) this.#usage[name] += by * (usage[name] ?? 0);
    this.#cost += by * (cost ?? known);
    this.#parkedMs += by * parkedMs;
  }

  now(): RunTotals {
    const cost = this.#cost;
    return {
      usage: { ...this.#usage },
      costUsd: this.#isKnown ? cost : null,
      knownCostUsd: cost,
      attempts: this.#attempts,
      parkedMs: this.#parkedMs,
    };
  }
}
