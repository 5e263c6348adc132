import type { Outcome } from '@opencode-manager/actors';
import type { SerializedError } from '@opencode-manager/core/errors';
import type { AttemptEnded } from '../journal/events.ts';
import { failure } from './failure.ts';
import type { AttemptEnd, Flight, RunContext, RunSettings, RunTask } from './run.types.ts';
import { find } from './task-table.ts';

/** What the end of an attempt means for its task. */
export interface AttemptVerdict extends Pick<AttemptEnded, 'outcome' | 'counts' | 'final' | 'error' | 'abortedBy' | 'deaths' | 'gone'> {
  readonly next: Flight['next'];
}

/** After these a task has its own further tries. */
const ownTries: ReadonlySet<Outcome> = new Set(['failed', 'stalled', 'timed_out']);

const infrastructure: ReadonlySet<Outcome> = new Set(['server_lost', 'interrupted']);

/**
 * Reads what the end of an attempt means: which counter it takes from, and whether another attempt follows. None follows for a task that a user
 * wants no more of.
 */
export function verdictOfAttempt(task: RunTask, flight: Flight, end: AttemptEnd, settings: RunSettings): AttemptVerdict {
  const verdict = judge(task, flight, end, settings);
  return task.isCancelled ? { ...verdict, final: true, next: null } : verdict;
}

function judge(task: RunTask, flight: Flight, end: AttemptEnd, settings: RunSettings): AttemptVerdict {
  const { outcome, error } = end;
  const deaths = deathsOf(flight, end);
  const told = { outcome, error, ...(deaths > 0 && { deaths }) };
  const wished = flight.abort !== null && (outcome === 'aborted' || infrastructure.has(outcome));
  if (wished && flight.abort.by === 'manager')
    return { ...told, ...endedAs(flight.abort), counts: 'none', final: false, next: null, abortedBy: 'manager' };
  if (wished) return { ...told, counts: 'none', final: true, next: null, abortedBy: 'user' };
  // Its session or its place is gone, or of no use: nothing was sent, and its task begins anew in another.
  if (flight.continues !== null && flight.phase === 'starting' && outcome === 'failed' && !end.isMachineFault)
    return { ...told, outcome: 'interrupted', counts: 'none', final: false, next: null, gone: true };
  // A full disk, and the like, meets whatever runs, and passes.
  if (infrastructure.has(outcome) || (outcome === 'failed' && end.isMachineFault)) {
    if (flight.isSuspect && deaths > 0)
      return { ...told, ...poisoned(task, deaths, error), counts: 'infrastructure', final: true, next: null };
    const tries = task.infrastructureTries + 1;
    return { ...told, counts: 'infrastructure', ...furtherTry(tries, settings.infrastructureTries, settings, end) };
  }
  if (ownTries.has(outcome)) return { ...told, counts: 'task', ...furtherTry(task.ownTries + 1, task.retries, settings, end) };
  if (outcome === 'quota_exhausted') return { ...told, ...withoutQuota(task, end, settings) };
  return { ...told, counts: 'task', final: true, next: null };
}

/** Of an attempt that a limit of its run has ended. */
function endedAs({ outcome, reason }: NonNullable<Flight['abort']>): Pick<AttemptVerdict, 'outcome' | 'error'> | undefined {
  return outcome && { outcome, error: failure('BUDGET_SPENT', reason) };
}

/** What the server never had is no part of its deaths. A loss that was told before the death that it comes of is one. */
function deathsOf({ deaths }: Flight, { outcome, billed }: AttemptEnd): number {
  if (!billed) return 0;
  return outcome === 'server_lost' ? Math.max(1, deaths) : deaths;
}

/** The delay doubles with each try, +-20 %: what failed together does not come back together. */
export function furtherTry(tries: number, further: number, { retryDelay }: RunSettings, { jitter }: AttemptEnd) {
  if (tries > further) return { final: true, next: null };
  const waitMs = Math.min(retryDelay.longestMs, retryDelay.firstMs * 2 ** (tries - 1));
  return { final: false, next: { place: 'delayed', inMs: Math.round(waitMs * (1 + 0.2 * jitter)) } } as const;
}

/** The quota of its provider is spent: another model, a park, or the end. */
function withoutQuota(task: RunTask, end: AttemptEnd, settings: RunSettings) {
  const over = { counts: 'task', final: true, next: null } as const;
  const { onQuota } = settings;
  if (onQuota === 'fail') return over;
  if (onQuota !== 'wait' && task.fallback === null && task.model !== onQuota.fallback)
    return { counts: 'none', final: false, next: null } as const;
  const inMs = parkOf(end, settings);
  return inMs === null ? over : ({ counts: 'none', final: false, next: { place: 'parked', inMs } } as const);
}

/**
 * How long a task gives its slot back until the quota of its provider is free again, in milliseconds. Null when nobody knows when that is, or
 * when it is later than its deadline allows.
 */
function parkOf({ result, atMs, jitter, timeoutMs = Infinity }: AttemptEnd, { quota }: RunSettings): number | null {
  if (result.reset_at === undefined) return null;
  const { marginMs, jitterMs, longestMs } = quota;
  const waitMs = Math.min(longestMs, Math.max(0, Date.parse(result.reset_at) - atMs) + marginMs + Math.round(jitterMs * Math.abs(jitter)));
  return (result.parked_ms ?? 0) + waitMs > timeoutMs ? null : waitMs;
}

function poisoned({ key, deaths }: RunTask, more: number, error: SerializedError | null) {
  const message = `The server died ${deaths + more} times while task ${key} was in flight, at last when it ran alone. It is not tried again.`;
  return { outcome: 'failed', error: failure('POISON_TASK', message, { ...(error && { cause: error }) }) } as const;
}

/** Whether a task is parked after such an end, if that comes now: its session and its place are to stay. */
export function parksAfter(
  { tasks, flights, settings }: RunContext,
  { key, token }: Pick<Flight, 'key' | 'token'>,
  end: AttemptEnd,
): boolean {
  const [task, flight] = [find(tasks, key), flights.find((one) => one.token === token)];
  return task !== undefined && flight !== undefined && verdictOfAttempt(task, flight, end, settings).next?.place === 'parked';
}
