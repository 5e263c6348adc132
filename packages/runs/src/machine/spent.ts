import type { Spent } from '@opencode-manager/actors/hosts';
import type { AttemptEnded } from '../journal/events.ts';
import type { Taken } from './run.types.ts';

export const nothingSpent: Taken = { tokens: 0, usd: 0 };

/** What an attempt has taken, its sub-agents included: uncached input, output and reasoning, and what is known of its cost. */
export function takenBy({ usage, cost_usd: cost, cost_known_usd: known }: Spent): Taken {
  return { tokens: usage.input_tokens + usage.output_tokens + usage.reasoning_tokens, usd: cost ?? known ?? 0 };
}

export function addSpent(one: Taken, other: Taken): Taken {
  return { tokens: one.tokens + other.tokens, usd: one.usd + other.usd };
}

/** What an end adds to what is known: one that goes on in a session tells the parts before it again. */
export function addedBy({ result, continues }: Pick<AttemptEnded, 'result' | 'continues'>, before: Taken | undefined): Taken {
  const taken = takenBy(result);
  if (continues === undefined || !before) return taken;
  return { tokens: taken.tokens - before.tokens, usd: taken.usd - before.usd };
}

/** What is expected of an attempt is the median of so many at most: the newest. */
export const mostSamples = 501;

export function keepSample(samples: readonly Taken[], spent: Taken): readonly Taken[] {
  return [...samples, spent].slice(-mostSamples);
}

/** What an attempt takes as a rule: the median of each. */
export function usualOf(samples: readonly Taken[]): Taken {
  const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
  return { tokens: median(samples.map(({ tokens }) => tokens)), usd: median(samples.map(({ usd }) => usd)) };
}
