import { accountOf, gateOf, openGate, providerOf } from './provider-gates.ts';
import { placeWaiting, taskOf, tell } from './run-tasks.ts';
import type { EventOf, ProviderGate, RunContext } from './run.types.ts';
import { entries } from './task-table.ts';

function change(context: RunContext, id: string, changed: Partial<ProviderGate>): RunContext {
  const known = gateOf(context, id);
  const gate = { ...openGate, ...known, id, ...changed };
  return { ...context, gates: known ? context.gates.map((one) => (one === known ? gate : one)) : [...context.gates, gate] };
}

/** Holds back an account whose quota is spent. A refusal that was on its way when an earlier one was told says nothing new. */
export function holdAccount(context: RunContext, id: string | null, untilMs: number, atMs: number): RunContext {
  if (id === null || untilMs <= atMs || (gateOf(context, id)?.quotaUntilMs ?? 0) >= untilMs) return context;
  const { onQuota } = context.settings;
  // Another model of the same account is to be asked at once.
  if (typeof onQuota !== 'string' && providerOf(onQuota.fallback) === id) return context;
  const timer = { name: 'provider', id } as const;
  return tell(change(context, id, { quotaUntilMs: untilMs }), { type: 'schedule', params: { timer, delayMs: untilMs - atMs } });
}

/** The quota may be free again. A timer of an earlier time changes nothing. */
export function quotaDue(context: RunContext, id: string, atMs: number): RunContext {
  const untilMs = gateOf(context, id)?.quotaUntilMs ?? null;
  if (untilMs === null) return context;
  if (untilMs <= atMs) return change(context, id, { quotaUntilMs: null });
  return tell(context, { type: 'schedule', params: { timer: { name: 'provider', id }, delayMs: untilMs - atMs } });
}

/** What the pool allows of a provider. */
export function changeProvider(context: RunContext, { provider, limit, heldUntilMs }: EventOf<'provider.changed'>): RunContext {
  return change(context, provider, { limit, pausedUntilMs: heldUntilMs });
}

/** A user holds an account back. */
export function pauseProvider(context: RunContext, { provider }: EventOf<'provider.paused'>): RunContext {
  return change(context, provider, { isPaused: true });
}

/** A user lets an account go on, whatever holds it: its parked tasks are woken. */
export function resumeProvider(context: RunContext, { provider, atMs }: EventOf<'provider.resumed'>): RunContext {
  const opened = change(context, provider, { isPaused: false, pausedUntilMs: null, quotaUntilMs: null });
  const parked = entries(opened.tasks).filter((task) => task.place === 'parked' && accountOf(opened, task) === provider);
  return parked.reduce((next, { key }) => placeWaiting(next, { ...taskOf(next, key), notBeforeMs: null }, atMs), opened);
}
