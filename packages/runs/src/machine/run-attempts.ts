import type { AttemptEnded, JournalEvent } from '../journal/events.ts';
import { furtherTry, verdictOfAttempt, type AttemptVerdict } from './attempt-verdict.ts';
import { failure } from './failure.ts';
import { isUncorrectable, outputInvalid } from './output-invalid.ts';
import { changeFlight, endFlight, flightOf, move, taskOf, tell, write } from './run-tasks.ts';
import type { AttemptEnd, EventOf, Flight, RunContext, RunTask } from './run.types.ts';
import { nothingSpent } from './spent.ts';
import { fallbackFor, providerOf } from './provider-gates.ts';
import { holdAccount } from './run-providers.ts';
import type { OpenAttempt } from './task-record.ts';
import { find } from './task-table.ts';

/** The flight that a fact is about; undefined for one of an old token. */
function currentFlight(context: RunContext, { key, token }: Pick<Flight, 'key' | 'token'>): Flight | undefined {
  const flight = flightOf(context, key);
  return flight?.token === token ? flight : undefined;
}

/** Starts an attempt of a task. Its token is new over all managers: each has a number of its own, and counts its attempts. */
export function startAttempt(context: RunContext, task: RunTask): RunContext {
  const { key, provider } = task;
  const fallback = fallbackFor(context, task);
  const goesOn = sessionFor(context, task, fallback);
  const started = context.started + 1;
  const flight: Flight = {
    key,
    attempt: task.attempts + 1,
    token: `${context.generation}.${started}`,
    phase: 'starting',
    isSuspect: task.place === 'suspect',
    taken: nothingSpent,
    repairs: 0,
    spent: null,
    provider: fallback === null ? provider : providerOf(fallback),
    continues: goesOn && (goesOn.continues ?? goesOn.attempt),
    fallback,
    deaths: 0,
    abort: null,
    next: null,
  };
  const flying = { ...move(context, task, 'flight'), started, flights: [...context.flights, flight] };
  const { attempt, token } = flight;
  return tell(flying, { type: 'start', params: { key, attempt, token, goesOn, fallback } });
}

/** Where an attempt goes on. One with another model than before begins anew. */
function sessionFor({ settings }: RunContext, { goesOn, end, fallback: before }: RunTask, fallback: string | null): OpenAttempt | null {
  if (fallback !== before) return null;
  return goesOn ?? (end?.outcome === 'interrupted' && settings.onInterrupted === 'continue' ? end.session : null);
}

/** Has the session of an attempt read whose manager died. */
export function lookAt(context: RunContext, task: RunTask): RunContext {
  const open = task.open!;
  const { attempt, token } = open;
  const flight: Flight = {
    key: task.key,
    attempt,
    token,
    phase: 'looking',
    isSuspect: false,
    taken: nothingSpent,
    repairs: open.repairs,
    spent: open.spent,
    // A look asks no model.
    provider: null,
    continues: open.continues ?? null,
    fallback: task.fallback,
    deaths: 0,
    abort: null,
    next: null,
  };
  const flying = { ...move(context, task, 'flight'), flights: [...context.flights, flight] };
  return tell(flying, { type: 'look', params: { key: task.key, open, fallback: task.fallback } });
}

/** The prompt is to be sent: first its row. A fact that comes twice, or late, changes nothing. */
export function intend(context: RunContext, event: EventOf<'attempt.intended'>): RunContext {
  const flight = currentFlight(context, event);
  if (!flight || flight.abort) return context;
  const { key, attempt, token, sessionId, messageId, directory } = event;
  if (flight.phase === 'repairing' && flight.spent) {
    const { repairs: repair, spent } = flight;
    const row: JournalEvent = { type: 'attempt.repairing', key, attempt, token, messageId, repair, spent };
    return write(changeFlight(context, { ...flight, phase: 'intending' }), row);
  }
  if (flight.phase !== 'starting') return context;
  const intending = changeFlight({ ...context, setupFailures: null }, { ...flight, phase: 'intending' });
  const { continues, fallback } = flight;
  const how = { ...(continues !== null && { continues }), ...(fallback !== null && { fallback }) };
  return write(intending, { type: 'attempt.intended', key, attempt, token, sessionId, messageId, directory, ...how });
}

export function accept(context: RunContext, event: EventOf<'attempt.accepted'>): RunContext {
  const flight = currentFlight(context, event);
  if (flight?.phase !== 'sending') return context;
  const { key, attempt } = event;
  return write(changeFlight(context, { ...flight, phase: 'accepted' }), { type: 'attempt.accepted', key, attempt });
}

/** An attempt has ended: its row is written, and nobody is told before it is committed. */
export function endAttempt(context: RunContext, event: EventOf<'attempt.ended'>): RunContext {
  const flight = currentFlight(context, event);
  if (!flight) return supersede(context, event);
  if (flight.phase === 'ending') return context;
  const task = taskOf(context, event.key);
  return writeEnd(context, flight, event, verdictOfAttempt(task, flight, event, context.settings));
}

/** A result under an old token counts for nothing. */
function supersede(context: RunContext, { key, attempt, token, outcome }: EventOf<'attempt.ended'>): RunContext {
  return find(context.tasks, key) ? write(context, { type: 'attempt.superseded', key, attempt, token, outcome }) : context;
}

function writeEnd(context: RunContext, flight: Flight, end: AttemptEnd, { next, ...verdict }: AttemptVerdict): RunContext {
  const { key, attempt, token } = flight;
  const { outcome, error } = verdict;
  const row: AttemptEnded = {
    ...verdict,
    type: 'attempt.ended',
    key,
    attempt,
    token,
    billed: end.billed,
    result: { ...end.result, outcome, error },
    ...(end.limit && { limit: end.limit }),
    ...(flight.continues !== null && { continues: flight.continues }),
  };
  return write(changeFlight(holdSpent(context, flight, end), { ...flight, phase: 'ending', next }), row);
}

/** An account whose quota is spent holds back its other tasks until that is free again. */
function holdSpent(context: RunContext, { provider }: Flight, { outcome, result, atMs }: AttemptEnd): RunContext {
  if (outcome !== 'quota_exhausted' || result.reset_at === undefined) return context;
  const { marginMs, longestMs } = context.settings.quota;
  const untilMs = Math.min(Date.parse(result.reset_at) + marginMs, atMs + longestMs);
  return holdAccount(context, provider, untilMs, atMs);
}

/** What became of an attempt whose manager died: its own end, or what the settings say about one that broke off. */
export function judgeLook(context: RunContext, event: EventOf<'attempt.looked'>): RunContext {
  const flight = currentFlight(context, event);
  if (flight?.phase !== 'looking') return context;
  const { fate, end, problems = [] } = event;
  const { repairs } = flight;
  const task = taskOf(context, event.key);
  if (fate === 'unread') return lookLater(context, flight, task, event);
  const isUnfit = fate === 'finished' && problems.length > 0;
  if (fate === 'finished' && (!isUnfit || isUncorrectable(repairs))) {
    const judged: AttemptEnd = isUnfit ? { ...end, outcome: 'failed', error: outputInvalid(problems) } : end;
    return writeEnd(context, flight, judged, verdictOfAttempt(task, flight, judged, context.settings));
  }
  // Between two of its turns an attempt has broken off, too.
  const final = fate !== 'never_started' && context.settings.onInterrupted === 'fail';
  const known = { ...end, billed: repairs > 0 || (end.billed && fate !== 'never_started') };
  if (task.isCancelled) return writeEnd(context, flight, known, cancelled(end));
  const error = isUnfit ? uncorrected : end.error;
  return writeEnd(context, flight, known, { outcome: 'interrupted', error, counts: 'none', final, next: null });
}

const uncorrected = failure(
  'TURN_INTERRUPTED',
  'The manager ended before the answer, which does not fit the output schema, was corrected.',
);

/**
 * A session that could not be read may hold an answer that is paid for: it is read again after a while, as often as an attempt is made again.
 * Then its task begins anew.
 */
function lookLater(context: RunContext, flight: Flight, task: RunTask, { end }: EventOf<'attempt.looked'>): RunContext {
  const unread = task.unread + 1;
  const { next } = furtherTry(unread, context.settings.infrastructureTries, context.settings, end);
  if (task.isCancelled) return writeEnd(context, flight, end, cancelled(end));
  if (!next) return writeEnd(context, flight, end, { outcome: 'interrupted', error: end.error, counts: 'none', final: false, next: null });
  const later = move(endFlight(context, flight.key), { ...task, unread }, next.place);
  return tell(later, { type: 'schedule', params: { timer: { name: 'attempt', key: flight.key }, delayMs: next.inMs } });
}

/** A broken-off attempt of a task that is wanted no more. */
function cancelled({ error }: AttemptEnd): AttemptVerdict {
  return { outcome: 'aborted', error, counts: 'none', final: true, next: null, abortedBy: 'user' };
}

/** Has an attempt ended. The first wish counts. */
export function abortFlight(
  context: RunContext,
  flight: Flight,
  by: 'user' | 'manager',
  reason: string,
  outcome?: NonNullable<Flight['abort']>['outcome'],
): RunContext {
  if (flight.abort || flight.phase === 'ending') return context;
  const { key, token } = flight;
  // What is only read goes back to where it was: the next manager reads it.
  if (flight.phase === 'looking') {
    if (by === 'user') return context;
    return tell(move(endFlight(context, key), taskOf(context, key), 'unlooked'), { type: 'abort', params: { key, token, reason } });
  }
  return tell(changeFlight(context, { ...flight, abort: { by, reason, ...(outcome && { outcome }) } }), {
    type: 'abort',
    params: { key, token, reason },
  });
}
