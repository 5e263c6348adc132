import type { AttemptEnded } from '../journal/events.ts';
import { endRun } from './run-ending.ts';
import { changeFlight, flightOf, tell } from './run-tasks.ts';
import type { EventOf, RunContext, RunLimits, Taken } from './run.types.ts';
import { addedBy, addSpent, keepSample, nothingSpent, takenBy, usualOf } from './spent.ts';

/** At this share of a limit the run tells that it comes near. */
const warningShare = 0.8;

/** At this share of a limit nothing new starts. */
const admissionShare = 0.9;

const budgets = ['tokens', 'usd'] as const;
type Budget = (typeof budgets)[number];

/** All that the run has taken, by ended attempts and by those in flight. */
export function spentOf({ spent, flights }: Pick<RunContext, 'spent' | 'flights'>): Taken {
  return flights.reduce((sum, flight) => addSpent(sum, flight.taken), spent);
}

/**
 * A step of an attempt has ended. A late fact never takes anything back. The last step of a turn ends nothing: its answer is paid for, and its
 * end, which comes at once, is looked at.
 */
export function noteSpent(context: RunContext, { key, token, tokens, usd, isLast }: EventOf<'attempt.spent'>): RunContext {
  const flight = flightOf(context, key);
  // Between two turns, only the turn before is still told of.
  if (flight?.token !== token || flight.phase === 'ending' || flight.phase === 'repairing') return context;
  const sum = addSpent({ tokens, usd }, flight.spent ? takenBy(flight.spent) : nothingSpent);
  const spent = { tokens: Math.max(flight.taken.tokens, sum.tokens), usd: Math.max(flight.taken.usd, sum.usd) };
  const next = changeFlight(context, { ...flight, taken: spent });
  return isLast ? next : heedBudget(next);
}

/** The end of an attempt is committed, and with it what it has taken. */
export function settleSpent(context: RunContext, event: AttemptEnded, before: Taken | undefined): RunContext {
  const { billed } = event;
  const spent = addedBy(event, before);
  const samples = billed ? keepSample(context.samples, spent) : context.samples;
  return heedBudget({ ...context, spent: addSpent(context.spent, spent), samples });
}

/** Warns once of each limit that comes near, and ends the run at one that is reached: what is in flight is ended at its present step. */
export function heedBudget(context: RunContext): RunContext {
  const spent = spentOf(context);
  return budgets.reduce((next, name) => heed(next, name, spent[name]), context);
}

function heed(context: RunContext, name: Budget, spent: number): RunContext {
  const [limit, hard] = [context.settings.limits[name], context.hardLimits[name]];
  if (hard !== null && spent >= hard && !context.ending?.aborts)
    return endRun(context, { reason: 'over_budget', aborts: true, why: `The run has used ${told(name, spent)} of ${told(name, hard)}.` });
  if (limit === null || spent < warningShare * limit || context.warned.includes(name)) return context;
  const warning = { name, limit, spent } as const;
  return tell({ ...context, warned: [...context.warned, name] }, { type: 'warn', params: warning });
}

/**
 * Which limit keeps one more attempt from starting; undefined when none does. One is reserved what attempts take as a rule (the median), of those in
 * flight what they are expected to take still. While none has ended yet, as many start as there are slots.
 */
export function heldByBudget(context: RunContext): Budget | undefined {
  const { limits } = context.settings;
  return budgets.find((name) => {
    const limit = limits[name];
    if (limit === null) return false;
    const usual = usualOf(context.samples)[name];
    const reserved = context.flights.reduce((sum, flight) => sum + Math.max(0, usual - flight.taken[name]), 0);
    const spent = spentOf(context)[name];
    return spent >= admissionShare * limit || spent + reserved + usual >= limit;
  });
}

/** Nothing is in flight, and the budget lets nothing start any more: what waits stays as it is. */
export function endWhenSpent(context: RunContext): RunContext {
  const { flights, ready, suspects, ending } = context;
  if (ending !== null || flights.length > 0 || Object.keys(ready).length + suspects.length === 0) return context;
  const name = heldByBudget(context);
  if (!name) return context;
  const spent = told(name, spentOf(context)[name]);
  const why = `The run has used ${spent} of ${told(name, context.settings.limits[name]!)}, and the next task is expected to take more than is left.`;
  return endRun(context, { reason: 'over_budget', aborts: false, why });
}

/** Raising a limit frees what it held back. One that is lowered ends what runs only when that is asked for. */
export function changeLimits(context: RunContext, { limits, enforce }: EventOf<'limits.changed'>): RunContext {
  const wanted: RunLimits = { ...context.settings.limits, ...limits };
  const hard = (name: Budget) => (enforce ? wanted[name] : looser(wanted[name], context.hardLimits[name]));
  const next = {
    ...context,
    settings: { ...context.settings, limits: wanted },
    hardLimits: { tokens: hard('tokens'), usd: hard('usd') },
    warned: context.warned.filter((name) => limits[name] === undefined),
  };
  return heedBudget(next);
}

function looser(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : Math.max(one, other);
}

function told(name: Budget, amount: number): string {
  return name === 'usd' ? `${Number(amount.toFixed(4))} USD` : `${amount} tokens`;
}
