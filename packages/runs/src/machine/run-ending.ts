import type { SerializedError } from '@opencode-manager/core/errors';
import type { AttemptEnded, RunEnded } from '../journal/events.ts';
import { abortFlight } from './run-attempts.ts';
import { countTasks, countsProblem } from './run-counts.ts';
import { tell, write } from './run-tasks.ts';
import type { Ending, RunContext } from './run.types.ts';

/** So many tasks in a row whose setup fails in the same way end the run. */
const setupTasks = 3;

/** What is wrong with the journal is told before all else: what was not committed is not known. */
const first: ReadonlySet<RunEnded['reason']> = new Set(['storage_full', 'failed']);

/** Takes no more tasks. The first reason stays, but for a drain, which any other one replaces. */
export function endRun(context: RunContext, wanted: Ending): RunContext {
  const { ending } = context;
  const isFirst = first.has(wanted.reason) && !(ending && first.has(ending.reason));
  const told = ending === null || ending.reason === 'drained' || isFirst ? wanted : ending;
  const next: RunContext = { ...context, ending: { ...told, aborts: wanted.aborts || (ending?.aborts ?? false) } };
  if (!wanted.aborts) return next;
  const reason = wanted.why ?? `The run ends: ${wanted.reason}.`;
  const outcome = wanted.reason === 'over_budget' ? 'over_budget' : undefined;
  return context.flights.reduce((changed, flight) => abortFlight(changed, flight, 'manager', reason, outcome), next);
}

/** Counts what failed for good, and ends the run when that is too much. */
export function noteFailure(context: RunContext, { key, outcome, final, abortedBy }: AttemptEnded): RunContext {
  if (!final || outcome === 'succeeded' || abortedBy) return context;
  const failures = context.failures + 1;
  const next = { ...context, failures };
  const { failFast, maxFailures } = context.settings;
  if (failFast !== 'off')
    return endRun(next, {
      reason: 'fail_fast',
      aborts: failFast === 'now',
      why: `Task ${key} ended as ${outcome}, and the run fails fast.`,
    });
  if (maxFailures === null || failures < mostFailures(maxFailures, context.total)) return next;
  return endRun(next, {
    reason: 'max_failures',
    aborts: false,
    why: `${failures} of ${context.total} tasks failed, and no more are started.`,
  });
}

function mostFailures(limit: { readonly count: number } | { readonly share: number }, total: number): number {
  return 'count' in limit ? limit.count : Math.max(1, Math.ceil(limit.share * total));
}

/** Ends the run when no workspace can be set up, each time for the same reason. */
export function noteSetup(context: RunContext, { key, error }: AttemptEnded): RunContext {
  const { setupFailures } = context;
  if (!setupFailures) return context;
  if (error?.code !== 'WORKSPACE_SETUP_FAILED') return { ...context, setupFailures: null };
  const message = sameWords(error);
  if (setupFailures.message !== null && setupFailures.message !== message) return { ...context, setupFailures: null };
  const keys = setupFailures.keys.includes(key) ? setupFailures.keys : [...setupFailures.keys, key];
  const next = { ...context, setupFailures: { keys, message } };
  if (keys.length < setupTasks) return next;
  return endRun(next, {
    reason: 'setup_failures',
    aborts: true,
    why: `The setup of the first ${setupTasks} tasks failed: ${error.message}`,
  });
}

/** The message without what is of one task alone. */
function sameWords({ message, details = {} }: SerializedError): string {
  return [details['log'], details['key']].reduce<string>(
    (text, own) => (typeof own === 'string' && own !== '' ? text.replaceAll(own, '') : text),
    message,
  );
}

/** Writes the row of the run's end once nothing is left to do, or nothing more is done. */
export function closeWhenOver(context: RunContext): RunContext {
  if (context.isJournalBroken && context.closing !== 'closed') return haveEnded(context) ? close(context, false) : context;
  if (context.closing !== 'no' || !isOver(context)) return context;
  const { reason } = endOf(context);
  return write({ ...context, closing: 'closing' }, { type: 'run.ended', reason });
}

function isOver(context: RunContext): boolean {
  const { ending, flights, unsettled, unlooked, server, isOpen, outbox, committing } = context;
  if (flights.length > 0 || outbox.length > 0 || committing) return false;
  if (unsettled === 0) return isOpen;
  return ending !== null && (ending.aborts || unlooked.length === 0 || server === 'gone');
}

/** Whether nothing is in flight whose end is not known. Rows of these ends may still wait. */
export function haveEnded({ flights }: RunContext): boolean {
  return flights.every(({ phase }) => phase === 'ending');
}

/** The manager lets go of the run. */
export function close(context: RunContext, isCommitted: boolean): RunContext {
  const counts = countTasks(context);
  return tell({ ...context, closing: 'closed' }, { type: 'ended', params: { ...endOf(context), counts, isCommitted } });
}

/** These keep tasks from starting: where none was left, they changed nothing. */
const startsNoMore: ReadonlySet<RunEnded['reason']> = new Set(['drained', 'fail_fast', 'max_failures', 'over_budget', 'timed_out']);

/** Why the run ends. Sums that do not add up are a fault of the program, and no run is called done with them. */
function endOf(context: RunContext): { readonly reason: RunEnded['reason']; readonly why: string | null } {
  const { ending, unsettled } = context;
  const isDone = ending === null || (startsNoMore.has(ending.reason) && unsettled === 0);
  if (!isDone) return { reason: ending.reason, why: ending.why };
  const problem = countsProblem(countTasks(context), context);
  return problem === null ? { reason: 'done', why: null } : { reason: 'failed', why: problem };
}
