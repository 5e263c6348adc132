import type { Outcome } from '@opencode-manager/actors';
import type { RunState } from '../directory/state-file.ts';
import { heldByBudget, spentOf } from '../machine/run-budget.ts';
import {
  accountOf,
  entries,
  isClosed,
  nothingSpent,
  type ProviderGate,
  type RunContext,
  type RunCounts,
  type Taken,
} from '../machine/index.ts';
import type { RunTotals } from './totals.ts';
import type { RunProvider, RunSummary } from './types.ts';

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
  const holding = isOver ? null : holdOf(context);
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
    running_spent: spentByFlights(context),
    parked: isOver ? 0 : entries(context.tasks).filter(({ place }) => place === 'parked').length,
    parked_ms: totals.parkedMs,
    providers: isOver ? [] : context.gates.filter(isClosed).map(providerState),
    tasks_per_minute: perMinute === null ? null : Number(perMinute.toFixed(2)),
    // The pace so far says nothing of a wait.
    eta_seconds: perMinute === null || holding !== null ? null : Math.round((unsettled * 60) / perMinute),
    holding,
    ended: reason,
    started_at: new Date(startedAtMs).toISOString(),
    updated_at: new Date(nowMs).toISOString(),
  };
}

/** What attempts in flight have taken so far: `usage` and `cost_usd` are of those that have ended. */
function spentByFlights({ flights }: RunContext): Taken {
  return spentOf({ spent: nothingSpent, flights });
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

/** The providers that tasks of the run ask, or have asked. Linear in the tasks. */
export function providersOf(context: RunContext): readonly RunProvider[] {
  const waiting = new Map<string, number>(context.gates.map(({ id }) => [id, 0]));
  for (const task of entries(context.tasks)) {
    const id = accountOf(context, task);
    const waits = task.place !== 'settled' && task.place !== 'flight';
    if (id !== null) waiting.set(id, (waiting.get(id) ?? 0) + Number(waits));
  }
  return Array.from(waiting, ([id, count]) => {
    const gate = context.gates.find((one) => one.id === id);
    return {
      id,
      limit: gate?.limit ?? null,
      heldUntilMs: gate ? heldUntilMs(gate) : null,
      isPaused: gate?.isPaused ?? false,
      running: context.flights.filter(({ provider }) => provider === id).length,
      waiting: count,
    };
  });
}

/** A provider that nothing is asked of now. */
function providerState(gate: ProviderGate) {
  const untilMs = heldUntilMs(gate);
  return { id: gate.id, is_paused: gate.isPaused, held_until: untilMs === null ? null : new Date(untilMs).toISOString() };
}

function heldUntilMs({ pausedUntilMs, quotaUntilMs }: ProviderGate): number | null {
  return pausedUntilMs === null && quotaUntilMs === null ? null : Math.max(pausedUntilMs ?? 0, quotaUntilMs ?? 0);
}

/**
 * Why nothing more starts although tasks wait; null when something may start, or all slots are in use. With the time of now it says too how
 * long that is still.
 */
export function holdOf(context: RunContext, nowMs?: number): string | null {
  const { flights, unsettled, server, isPaused, fullSinceMs, ending, delayed, ready, settings, isOpen } = context;
  if (unsettled - flights.length <= 0) return null;
  if (fullSinceMs !== null) return 'there is no room for the journal';
  if (ending !== null) return ending.why ?? `the run ends: ${ending.reason}`;
  if (isPaused) return 'the run is paused';
  if (server === 'away' && isOpen) return 'the server is being started again';
  if (flights.length >= settings.concurrency) return null;
  const budget = Object.keys(ready).length > 0 ? heldByBudget(context) : undefined;
  if (budget) return `what is left of the run's ${budget} is reserved for the tasks that run`;
  const held = context.gates.filter(isClosed);
  if (held.length > 0) return held.map((gate) => heldBy(gate, nowMs)).join('; ');
  return Object.keys(ready).length === 0 && delayed > 0 ? 'the next attempts wait for their time' : null;
}

/** Such as `held by anthropic until 12:04 (in 3 min 20 s)`, by the clock of this machine. */
function heldBy(gate: ProviderGate, nowMs: number | undefined): string {
  const untilMs = heldUntilMs(gate);
  if (gate.isPaused || untilMs === null) return `${gate.id} is paused by its user`;
  const at = new Date(untilMs);
  const time = [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
  return `held by ${gate.id} until ${time}${nowMs === undefined ? '' : ` (in ${countdownOf(untilMs - nowMs)})`}`;
}

function countdownOf(leftMs: number): string {
  const seconds = Math.max(0, Math.ceil(leftMs / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}
