import { endRun } from './run-ending.ts';
import { tell } from './run-tasks.ts';
import type { EventOf, RunContext } from './run.types.ts';

/** The time of the run counts from here. */
export function startClock(context: RunContext, { atMs }: EventOf<'run.open'>): RunContext {
  return schedule({ ...context, openedAtMs: atMs }, atMs);
}

export function restartClock(context: RunContext, { limits, atMs }: EventOf<'limits.changed'>): RunContext {
  return limits.timeoutMs === undefined ? context : schedule(context, atMs);
}

function schedule(context: RunContext, atMs: number): RunContext {
  const leftMs = leftOf(context, atMs);
  if (leftMs === null) return context;
  return tell(context, {
    type: 'schedule',
    params: { timer: { name: 'run.deadline' }, delayMs: Math.min(Math.max(0, Math.ceil(leftMs)), longestTimerMs) },
  });
}

/** Timers overflow above this (about 24.8 days). */
const longestTimerMs = 2 ** 31 - 1;

function leftOf({ settings, openedAtMs }: RunContext, atMs: number): number | null {
  const { timeoutMs } = settings.limits;
  return timeoutMs === null ? null : openedAtMs + timeoutMs - atMs;
}

/** A timer may fire early, and one of another limit is still to fire. */
export function runOverdue(context: RunContext, atMs: number): RunContext {
  const leftMs = leftOf(context, atMs);
  if (leftMs === null) return context;
  if (leftMs > 0) return schedule(context, atMs);
  return endRun(context, { reason: 'timed_out', aborts: true, why: `The run was not over after ${context.settings.limits.timeoutMs} ms.` });
}
