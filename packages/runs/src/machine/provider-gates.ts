import type { ProviderGate, RunContext, RunTask } from './run.types.ts';

export const openGate: Omit<ProviderGate, 'id'> = { limit: null, pausedUntilMs: null, quotaUntilMs: null, isPaused: false };

export function gateOf({ gates }: Pick<RunContext, 'gates'>, id: string | null): ProviderGate | undefined {
  return gates.find((gate) => gate.id === id);
}

/** The provider of a model named `provider/model`. */
export function providerOf(model: string): string {
  return model.slice(0, model.indexOf('/'));
}

/** Whether the gate holds all starts back, however few attempts are in flight. */
export function isClosed({ isPaused, pausedUntilMs, quotaUntilMs }: ProviderGate): boolean {
  return isPaused || pausedUntilMs !== null || quotaUntilMs !== null;
}

/** Whether one more attempt may ask this provider now. What asks none, or one that nobody knows, is never held. */
export function mayAsk(context: Pick<RunContext, 'gates' | 'flights'>, id: string | null): boolean {
  const gate = gateOf(context, id);
  if (!gate) return true;
  if (isClosed(gate)) return false;
  return gate.limit === null || context.flights.filter(({ provider }) => provider === id).length < gate.limit;
}

/** The model in whose name the next attempt of a task runs, because the quota of its own is spent; null for its own. */
export function fallbackFor(context: Pick<RunContext, 'settings' | 'gates'>, task: RunTask): string | null {
  if (task.fallback !== null) return task.fallback;
  const { onQuota } = context.settings;
  if (typeof onQuota === 'string' || onQuota.fallback === task.model) return null;
  const isSpent = task.end?.outcome === 'quota_exhausted' || (gateOf(context, task.provider)?.quotaUntilMs ?? null) !== null;
  return isSpent ? onQuota.fallback : null;
}

/** The account that the next attempt of a task asks. */
export function accountOf(context: Pick<RunContext, 'settings' | 'gates'>, task: RunTask): string | null {
  const fallback = fallbackFor(context, task);
  return fallback === null ? task.provider : providerOf(fallback);
}
