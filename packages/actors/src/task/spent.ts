import type { TurnReport } from '../session/turn-in-flight.ts';
import type { TaskResult } from './types.ts';

/** What turns have taken, as results tell it. */
export type Spent = Pick<TaskResult, 'usage' | 'cost_usd' | 'model_calls' | 'tool_calls'>;

/** What a turn has taken, its sub-agents included. */
export function spentIn({ summary }: TurnReport): Spent {
  const { usage, costUsd, modelCalls, toolCalls } = summary;
  return { usage, cost_usd: costUsd, model_calls: modelCalls, tool_calls: toolCalls };
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
    cost_usd: one.cost_usd === null || other.cost_usd === null ? null : one.cost_usd + other.cost_usd,
    model_calls: one.model_calls + other.model_calls,
    tool_calls: one.tool_calls + other.tool_calls,
  };
}
