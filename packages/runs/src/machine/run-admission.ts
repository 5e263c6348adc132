import { lookAt, startAttempt } from './run-attempts.ts';
import { heldByBudget } from './run-budget.ts';
import { accountOf, mayAsk } from './provider-gates.ts';
import { taskOf } from './run-tasks.ts';
import type { RunContext, RunTask } from './run.types.ts';

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
  const { unlooked, suspects, flights, delayed } = context;
  if (!mayFly(context)) return undefined;
  if (unlooked.length > 0) return lookAt(context, taskOf(context, unlooked[0]!));
  if (context.ending || context.isPaused || flights.some(({ isSuspect }) => isSuspect)) return undefined;
  if (heldByBudget(context)) return undefined;
  const first = firstReady(context);
  if (first) return startAttempt(context, first);
  if (flights.length > 0 || delayed > 0) return undefined;
  const suspect = suspects.map((key) => taskOf(context, key)).find((task) => mayAsk(context, accountOf(context, task)));
  return suspect && startAttempt(context, suspect);
}

/** The first task in the order of the source whose provider may be asked: one that may not holds none of another up. */
function firstReady(context: RunContext): RunTask | undefined {
  const heads = Object.values(context.ready).map(([key]) => taskOf(context, key!));
  return heads.filter((task) => mayAsk(context, accountOf(context, task))).toSorted((a, b) => a.order - b.order)[0];
}

function mayFly({ isOpen, server, fullSinceMs, isJournalBroken, closing, ending, flights, settings }: RunContext): boolean {
  const isHere = isOpen && server === 'here' && fullSinceMs === null && !isJournalBroken;
  return isHere && closing === 'no' && !ending?.aborts && flights.length < settings.concurrency;
}
