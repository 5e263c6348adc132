import { lookAt, startAttempt } from './run-attempts.ts';
import { heldByBudget } from './run-budget.ts';
import { taskOf } from './run-tasks.ts';
import type { RunContext } from './run.types.ts';

/**
 * Starts what may start: attempts of dead managers are read first, then tasks in the order of the source, then suspects, each alone. Each
 * start costs a copy of one list and one bucket of tasks.
 */
export function admit(context: RunContext): RunContext {
  let next = context;
  for (let changed = admitOne(next); changed; changed = admitOne(next)) next = changed;
  return next;
}

function admitOne(context: RunContext): RunContext | undefined {
  const { unlooked, ready, suspects, flights, delayed } = context;
  if (!mayFly(context)) return undefined;
  if (unlooked.length > 0) return lookAt(context, taskOf(context, unlooked[0]!));
  if (context.ending || context.isPaused || flights.some(({ isSuspect }) => isSuspect)) return undefined;
  if (heldByBudget(context)) return undefined;
  if (ready.length > 0) return startAttempt(context, taskOf(context, ready[0]!));
  const isAlone = flights.length === 0 && delayed === 0;
  return isAlone && suspects.length > 0 ? startAttempt(context, taskOf(context, suspects[0]!)) : undefined;
}

function mayFly({ isOpen, server, fullSinceMs, isJournalBroken, closing, ending, flights, settings }: RunContext): boolean {
  const isHere = isOpen && server === 'here' && fullSinceMs === null && !isJournalBroken;
  return isHere && closing === 'no' && !ending?.aborts && flights.length < settings.concurrency;
}
