import type { TurnSpent } from '../machines/index.ts';
import type { Cost } from '../session/prices.ts';
import type { TurnReport } from '../session/turn-in-flight.ts';
import type { TaskResult } from './types.ts';

type CostFields = Pick<TaskResult, 'cost_usd' | 'cost_known_usd' | 'unpriced_models' | 'cost_basis'>;

/** What turns have taken, as results tell it. */
export type Spent = Pick<TaskResult, 'usage' | 'model_calls' | 'tool_calls'> & CostFields;

/** What a turn has taken, its sub-agents included. */
export function spentIn({ summary }: Pick<TurnReport, 'summary'>): Spent {
  return spentOf(summary);
}

export function spentOf({ usage, cost, modelCalls, toolCalls }: TurnReport['summary']): Spent {
  return { usage, ...costFields(cost), model_calls: modelCalls, tool_calls: toolCalls };
}

/** The same as its budget counts it. */
export function budgetOf({ usage, cost_usd: cost, cost_known_usd: known, model_calls: steps }: Spent): TurnSpent {
  return { steps, tokens: usage.input_tokens + usage.output_tokens + usage.reasoning_tokens, usd: cost ?? known ?? 0 };
}

/** The sum of both. One unknown price makes the sum unknown. */
export function addSpent(one: Spent, other: Spent): Spent {
  const [usage, more] = [one.usage, other.usage];
  return {
    usage: {
      input_tokens: usage.input_tokens + more.input_tokens,
      output_tokens: usage.output_tokens + more.output_tokens,
      reasoning_tokens: usage.reasoning_tokens + more.reasoning_tokens,
      cache_read_tokens: usage.cache_read_tokens + more.cache_read_tokens,
      cache_write_tokens: usage.cache_write_tokens + more.cache_write_tokens,
    },
    ...costFields(sumOf(costIn(one), costIn(other))),
    model_calls: one.model_calls + other.model_calls,
    tool_calls: one.tool_calls + other.tool_calls,
  };
}

function costFields({ usd, unpriced, basis }: Cost): CostFields {
  return {
    cost_usd: unpriced.length > 0 ? null : usd,
    ...(unpriced.length > 0 && { cost_known_usd: usd, unpriced_models: unpriced }),
    ...(basis !== 'opencode' && { cost_basis: basis }),
  };
}

function costIn({ cost_usd: cost, cost_known_usd: known, unpriced_models: unpriced = [], cost_basis: basis }: CostFields): Cost {
  return { usd: cost ?? known ?? 0, unpriced, basis: basis ?? 'opencode' };
}

/** What has cost nothing has no basis of its own. */
function sumOf(one: Cost, other: Cost): Cost {
  const bases = new Set([one, other].filter(({ usd }) => usd > 0).map(({ basis }) => basis));
  return {
    usd: one.usd + other.usd,
    unpriced: [...new Set([...one.unpriced, ...other.unpriced])],
    basis: bases.size > 1 ? 'mixed' : ([...bases][0] ?? one.basis),
  };
}
