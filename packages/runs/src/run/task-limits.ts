import type { RunTaskSpec } from './types.ts';

/** The limits of a task by their names in a task file: times in milliseconds. One that is raised runs again what it ended. */
export function limitsOf(
  { timeoutMs, limits = {} }: Pick<RunTaskSpec, 'timeoutMs' | 'limits'>,
  taskTimeoutMs: number | undefined,
): Readonly<Record<string, number>> {
  const { workingMs: working, stallMs: stall, steps, tokens, usd } = limits;
  const named = { timeout: limits.timeoutMs ?? timeoutMs ?? taskTimeoutMs, working, stall, steps, tokens, usd };
  return Object.fromEntries(Object.entries(named).filter((limit): limit is [string, number] => limit[1] !== undefined));
}
