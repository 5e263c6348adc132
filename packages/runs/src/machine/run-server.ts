import { endRun } from './run-ending.ts';
import { changeFlight, endFlight, move, taskOf, tell } from './run-tasks.ts';
import type { EventOf, Flight, RunContext } from './run.types.ts';

/** The server had, or may have had, the prompt. */
const sent: ReadonlySet<Flight['phase']> = new Set(['sending', 'accepted']);

/** A server is there. A run that has given it up starts nothing on it, and what is in flight comes to its end. */
export function serverReady(context: RunContext): RunContext {
  return { ...context, awaySinceMs: null, ...(context.server !== 'gone' && { server: 'here' }) };
}

/** The server died: it is started again within the budget, which deaths with suspects alone do not use. */
export function serverDied(before: RunContext, event: EventOf<'server.died'>): RunContext {
  const context = waitForServer(before, event);
  const { atMs, error } = event;
  if (context.server === 'gone') return markDeath(context);
  const { maxRestarts, windowMs, delaysMs } = context.settings.restartLimits;
  const { flights, restartTimes } = context;
  const isSuspected = flights.length > 0 && flights.every(({ isSuspect }) => isSuspect);
  const marked = markDeath({ ...context, server: 'away' });
  // What is in flight is lost with it; nothing else is to start.
  if (context.ending || context.closing !== 'no') return { ...marked, server: 'gone' };
  const recent = restartTimes.filter((time) => atMs - time < windowMs);
  if (!isSuspected && recent.length >= maxRestarts) {
    const why = `The server died, and ${maxRestarts} restarts within ${windowMs} ms are spent: ${error.message}`;
    return endRun({ ...marked, server: 'gone' }, { reason: 'restarts_spent', aborts: false, why });
  }
  const delayMs = delaysMs[Math.min(isSuspected ? 0 : recent.length, delaysMs.length - 1)] ?? 0;
  const times = isSuspected ? recent : [...recent, atMs];
  return tell({ ...marked, restartTimes: times }, { type: 'restartServer', params: { delayMs } });
}

/** A server that does not come back tells nothing of itself: what waits for it must not wait for ever. */
function waitForServer(context: RunContext, { atMs }: EventOf<'server.died'>): RunContext {
  if (context.awaySinceMs !== null) return context;
  const timer = { name: 'server.deadline', sinceMs: atMs } as const;
  return tell({ ...context, awaySinceMs: atMs }, { type: 'schedule', params: { timer, delayMs: context.settings.serverTimeoutMs } });
}

/** Its time is over: what is in flight is aborted, and the run ends. */
export function serverOverdue(context: RunContext, sinceMs: number): RunContext {
  if (context.awaySinceMs !== sinceMs) return context;
  const why = `The server died, and was not there again within ${context.settings.serverTimeoutMs} ms.`;
  return endRun({ ...context, server: 'gone' }, { reason: 'restarts_spent', aborts: true, why });
}

/** Each attempt that the server had knows of the death. What was only read is read again. */
function markDeath(context: RunContext): RunContext {
  return context.flights.reduce((next, flight) => {
    if (flight.phase === 'looking') return move(endFlight(next, flight.key), taskOf(next, flight.key), 'unlooked');
    return sent.has(flight.phase) ? changeFlight(next, { ...flight, deaths: flight.deaths + 1 }) : next;
  }, context);
}

/** The server cannot be started. */
export function serverGone(context: RunContext, { error }: EventOf<'server.gone'>): RunContext {
  return endRun(
    { ...context, server: 'gone' },
    { reason: 'restarts_spent', aborts: false, why: `The server cannot be started: ${error.message}` },
  );
}
