import type { Outcome } from '@opencode-manager/actors';
import type { RunState } from '../directory/state-file.ts';
import { entries, type RunContext, type RunCounts } from '../machine/index.ts';
import type { RunTotals } from './totals.ts';
import type { RunSummary } from './types.ts';

export interface StateParts {
  readonly run: string;
  readonly generation: number;
  readonly counts: RunCounts;
  readonly totals: RunTotals;
  readonly context: RunContext;
  /** Why the manager has let go of the run; null while it has it. */
  readonly ended: RunSummary['reason'] | null;
  /** When this manager took the run up. */
  readonly startedAtMs: number;
  readonly nowMs: number;
  /** Of this manager. */
  readonly pid: number;
}

/** What `state.json` says. */
export function stateOf({ run, generation, counts, totals, context, ended: reason, startedAtMs, nowMs, pid }: StateParts): RunState {
  const { total, skipped, reused, dropped } = counts;
  const { started, flights, unsettled } = context;
  const isOver = reason !== null;
  const { outcomes, notStarted } = isOver ? counts : outcomesNow(context);
  const ended = started - flights.length;
  const perMinute = isOver || ended <= 0 ? null : (ended * 60_000) / Math.max(1, nowMs - startedAtMs);
  return {
    schema_version: 1,
    run,
    pid,
    generation,
    total,
    running: flights.length,
    waiting: isOver ? 0 : unsettled - flights.length,
    outcomes,
    skipped,
    not_started: notStarted,
    reused,
    dropped,
    attempts: totals.attempts,
    usage: totals.usage,
    cost_usd: totals.costUsd,
    known_cost_usd: totals.knownCostUsd,
    tasks_per_minute: perMinute === null ? null : Number(perMinute.toFixed(2)),
    eta_seconds: perMinute === null ? null : Math.round((unsettled * 60) / perMinute),
    holding: isOver ? null : holdOf(context),
    ended: reason,
    started_at: new Date(startedAtMs).toISOString(),
    updated_at: new Date(nowMs).toISOString(),
  };
}

/** While a run goes on, an outcome is that of a task after which no attempt follows: each task is counted once. */
export function outcomesNow({ tasks }: RunContext): Pick<RunCounts, 'outcomes' | 'notStarted'> {
  const outcomes: Partial<Record<Outcome, number>> = {};
  let notStarted = 0;
  for (const { place, end, open, blockedBy, isCancelled } of entries(tasks)) {
    if (place === 'flight' || (place === 'settled' && (blockedBy !== null || (isCancelled && !end)))) continue;
    if (place === 'settled' && end) outcomes[end.outcome] = (outcomes[end.outcome] ?? 0) + 1;
    else if (!end && !open) notStarted += 1;
  }
  return { outcomes, notStarted };
}

/** Why nothing starts although tasks wait; null when something runs or may start. */
export function holdOf({
  flights,
  unsettled,
  server,
  isPaused,
  fullSinceMs,
  ending,
  delayed,
  ready,
  settings,
  isOpen,
}: RunContext): string | null {
  if (unsettled - flights.length <= 0) return null;
  if (fullSinceMs !== null) return 'there is no room for the journal';
  if (ending !== null) return ending.why ?? `the run ends: ${ending.reason}`;
  if (isPaused) return 'the run is paused';
  if (server === 'away' && isOpen) return 'the server is being started again';
  if (flights.length >= settings.concurrency) return null;
  return ready.length === 0 && delayed > 0 ? 'the next attempts wait for their time' : null;
}
