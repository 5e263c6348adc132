import type { RunOptions, RunTaskSpec } from './types.ts';

/** The limits of a task by their names in a task file: times in milliseconds. One that is raised runs again what it ended. */
export function limitsOf(
  task: Pick<RunTaskSpec, 'timeoutMs' | 'limits'>,
  pool: Pick<NonNullable<RunOptions['pool']>, 'taskLimits' | 'taskTimeoutMs' | 'stallTimeoutMs'>,
): Readonly<Record<string, number>> {
  const { timeoutMs, workingMs: working, stallMs, steps, tokens, usd } = { ...pool.taskLimits, ...task.limits };
  const timeout = task.timeoutMs ?? timeoutMs ?? pool.taskTimeoutMs;
  const named = { timeout, working, stall: stallMs ?? pool.stallTimeoutMs, steps, tokens, usd };
  return Object.fromEntries(Object.entries(named).filter((limit): limit is [string, number] => limit[1] !== undefined));
}
