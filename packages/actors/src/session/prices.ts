import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { AssistantMessageFacts } from '@opencode-manager/core/protocol';
import * as z from 'zod';

/** What a model costs, in USD per million tokens. Reasoning is paid as output. */
interface ModelPrice {
  readonly input: number;
  readonly output: number;
  /** As `input` when absent: never less than what is paid. */
  readonly cache_read?: number;
  /** As `input` when absent. */
  readonly cache_write?: number;
}

/** Prices by `provider/model`. They go before those that opencode knows. */
export type PriceTable = Readonly<Record<string, ModelPrice>>;

const amount = z.number().min(0);
const tableSchema = z.record(
  z.string().regex(/^[^/]+\/.+$/, 'is not of the form provider/model'),
  z.strictObject({ input: amount, output: amount, cache_read: amount.optional(), cache_write: amount.optional() }),
);

/** Checks a table that was given. @throws `CONFIG_INVALID` naming the model and the field */
export function parsePrices(given: unknown, name: string): PriceTable {
  const parsed = tableSchema.safeParse(given);
  // Fields that are absent stay away.
  if (parsed.success) return given as PriceTable;
  const [issue] = parsed.error.issues;
  const field = [name, ...(issue?.path ?? [])].join('.');
  throw new OpencodeManagerError('CONFIG_INVALID', `${field}: ${issue?.message ?? 'it is no price'} (USD per million tokens).`, {
    details: { field },
  });
}

/** What messages have cost, and where that is from. */
export interface Cost {
  /** The sum of what is known. */
  readonly usd: number;
  /** Models that have used tokens, and whose price nobody knows. */
  readonly unpriced: readonly string[];
  readonly basis: 'opencode' | 'table' | 'mixed';
}

/** Sums messages up, each once. opencode reports 0 for a model whose price it does not know. */
export function costOf(messages: Iterable<AssistantMessageFacts>, prices: PriceTable): Cost {
  let usd = 0;
  const unpriced = new Set<string>();
  const bases = new Set<'opencode' | 'table'>();
  for (const { model, tokens, costUsd } of messages) {
    const price = Object.hasOwn(prices, model) ? prices[model] : undefined;
    const wasUsed = tokens.input + tokens.output + tokens.reasoning + tokens.cacheRead + tokens.cacheWrite > 0;
    if (!wasUsed && costUsd === 0) continue;
    if (!price && costUsd === 0) unpriced.add(model);
    else bases.add(price ? 'table' : 'opencode');
    usd += price ? priced(tokens, price) : costUsd;
  }
  return { usd, unpriced: [...unpriced], basis: bases.size > 1 ? 'mixed' : ([...bases][0] ?? 'opencode') };
}

function priced(
  tokens: AssistantMessageFacts['tokens'],
  { input, output, cache_read: read = input, cache_write: write = input }: ModelPrice,
): number {
  const { cacheRead, cacheWrite } = tokens;
  return (tokens.input * input + (tokens.output + tokens.reasoning) * output + cacheRead * read + cacheWrite * write) / 1_000_000;
}
