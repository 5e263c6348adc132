import type { SessionPool } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { entries, find, type RunContext, type RunMachineEvent } from '../machine/index.ts';
import { spentOf } from '../machine/run-budget.ts';
import { mayCancel, mayRequeue } from '../machine/run-control.ts';
import { hasSucceeded } from '../machine/task-record.ts';
import { holdOf, outcomesNow } from './state.ts';
import { taskStanding } from './task-standing.ts';
import type { RunControl, RunStanding, RunWishes, TaskChange, TaskStanding } from './control.types.ts';

export interface ControlOptions {
  readonly context: () => RunContext;
  readonly send: (event: RunMachineEvent) => void;
  /** Resolves when something holds of the run, or it is over. */
  readonly until: (holds: (context: RunContext) => boolean) => Promise<void>;
  readonly pool: Pick<SessionPool, 'setMaxSessions'>;
  /** The pool is that of other runs too: its slots are not this run's to change. */
  readonly sharesPool: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** For attempts that start from now on, in milliseconds. */
  readonly setTimeoutMs: (timeoutMs: number) => void;
  readonly timeoutMs: () => number | null;
}

/** What users of a live run see of it and change, by events of its machine. */
export function createControl(options: ControlOptions): RunControl {
  const { context, send } = options;
  return {
    standing: () => standingOf(context(), options.timeoutMs()),
    tasks: () => tasksIn(context()),
    assertTasks: (keys) => assertKnown(context(), keys),
    pause: () => changed(options, (run) => run.isPaused, { type: 'run.pause' }),
    resume: () => changed(options, (run) => !run.isPaused, { type: 'run.resume' }),
    cancelTasks: (keys) => cancelTasks(options, keys),
    requeueTasks: (keys, force = false) => requeueTasks(options, keys, force),
    configure: (wishes) => configure(options, wishes),
    async cancel(reason, { drains = false } = {}) {
      const isNew = context().ending === null || (!drains && !context().ending!.aborts);
      send(drains ? { type: 'run.drain' } : { type: 'run.abort', reason });
      return isNew;
    },
  };
}

function standingOf(context: RunContext, timeoutMs: number | null): RunStanding {
  const { closing, ending, isPaused, settings, flights, unsettled } = context;
  const state = closing !== 'no' || ending !== null ? 'ending' : isPaused ? 'paused' : 'running';
  return {
    state,
    concurrency: settings.concurrency,
    timeoutMs,
    limits: { tokens: settings.limits.tokens, usd: settings.limits.usd },
    spent: spentOf(context),
    running: flights.length,
    waiting: unsettled - flights.length,
    holding: holdOf(context),
    ...outcomesNow(context),
  };
}

function tasksIn(context: RunContext): TaskStanding[] {
  const flights = new Map(context.flights.map((flight) => [flight.key, flight]));
  return entries(context.tasks)
    .toSorted((a, b) => a.order - b.order)
    .map((task) => taskStanding(task, flights.get(task.key)));
}

/** Whether it was otherwise before. */
function changed({ context, send }: ControlOptions, holds: (context: RunContext) => boolean, event: RunMachineEvent): boolean {
  if (holds(context())) return false;
  send(event);
  return true;
}

/** @throws `TASK_UNKNOWN` naming all that there is not; then nothing is changed */
function assertKnown({ tasks }: RunContext, keys: readonly string[]): void {
  const unknown = keys.filter((key) => !find(tasks, key));
  if (unknown.length === 0) return;
  const message = `The run has no task ${unknown.join(', ')}. Nothing was done.`;
  throw new OpencodeManagerError('TASK_UNKNOWN', message, { details: { keys: unknown } });
}

async function cancelTasks({ context, send, until }: ControlOptions, keys: readonly string[]): Promise<TaskChange[]> {
  assertKnown(context(), keys);
  // What is being requeued is cancelled once it is.
  await until((run) => keys.every((key) => find(run.tasks, key)!.place !== 'requeueing'));
  const changes = keys.map((key): TaskChange => {
    const task = find(context().tasks, key)!;
    if (!mayCancel(context(), task))
      return { key, change: 'none', why: task.isCancelled ? 'it is cancelled already' : 'it has come to its end' };
    send({ type: 'task.cancelled', key, reason: 'The task was cancelled.' });
    return task.place === 'flight' ? { key, change: 'aborting', why: null } : { key, change: 'cancelled', why: null };
  });
  await until((run) => keys.every((key) => find(run.tasks, key)!.place !== 'skipping'));
  return changes;
}

async function requeueTasks({ context, send, until }: ControlOptions, keys: readonly string[], force: boolean): Promise<TaskChange[]> {
  assertKnown(context(), keys);
  const changes = keys.map((key): TaskChange => {
    const why = notRequeued(context(), key, force);
    if (why !== null) return { key, change: 'none', why };
    send({ type: 'task.requeued', key, force });
    return { key, change: 'requeued', why: null };
  });
  await until((run) => keys.every((key) => find(run.tasks, key)!.place !== 'requeueing'));
  return changes;
}

/** Why a task is not tried again; null when it is. */
function notRequeued(context: RunContext, key: string, force: boolean): string | null {
  const task = find(context.tasks, key)!;
  if (mayRequeue(context, task, force)) return null;
  if (context.ending !== null || context.closing !== 'no') return 'the run is ending; use ocm resume when it has ended';
  if (task.place !== 'settled') return task.place === 'flight' ? 'it runs' : 'it waits for its turn already';
  if (task.blockedBy !== null) return `it was skipped because of ${task.blockedBy}; requeue that one`;
  return hasSucceeded(task) ? 'it has succeeded; --force tries it again' : 'it has come to its end';
}

/** @throws `CONFIG_INVALID`; then nothing is changed */
function configure(
  { context, send, pool, sharesPool, now, setTimeoutMs, timeoutMs: timeoutNow }: ControlOptions,
  wishes: RunWishes,
): RunWishes {
  const { concurrency, timeoutMs, tokens, usd, enforces = false } = wishes;
  assertWishes(wishes);
  const limitsBefore = context().settings.limits;
  const limits = { ...(tokens !== undefined && { tokens }), ...(usd !== undefined && { usd }) };
  if (Object.keys(limits).length > 0) send({ type: 'limits.changed', limits, enforce: enforces, atMs: now() });
  const before = context().settings.concurrency;
  if (concurrency !== undefined && (concurrency !== before || enforces)) {
    // The pool has as many slots as attempts may run, at any moment.
    if (!sharesPool && concurrency > before) pool.setMaxSessions(concurrency);
    send({ type: 'concurrency.changed', concurrency, enforces });
    if (!sharesPool && concurrency < before) pool.setMaxSessions(concurrency);
  }
  const timeoutBefore = timeoutNow();
  if (timeoutMs !== undefined) setTimeoutMs(timeoutMs);
  return {
    ...(concurrency !== undefined && { concurrency: before }),
    ...(timeoutMs !== undefined && timeoutBefore !== null && { timeoutMs: timeoutBefore }),
    ...(tokens !== undefined && limitsBefore.tokens !== null && { tokens: limitsBefore.tokens }),
    ...(usd !== undefined && limitsBefore.usd !== null && { usd: limitsBefore.usd }),
  };
}

function assertWishes({ concurrency, timeoutMs, tokens, usd, enforces }: RunWishes): void {
  for (const [name, value] of Object.entries({ concurrency, timeoutMs, tokens: tokens ?? undefined })) {
    if (value === undefined || (Number.isInteger(value) && value >= 1)) continue;
    throw new OpencodeManagerError('CONFIG_INVALID', `${name}: ${value} is not a whole number of one or more. Nothing was changed.`);
  }
  if (typeof usd === 'number' && !(usd > 0 && Number.isFinite(usd)))
    throw new OpencodeManagerError('CONFIG_INVALID', `usd: ${usd} is no amount above 0. Nothing was changed.`);
  if (enforces && concurrency === undefined && tokens === undefined && usd === undefined) {
    const message =
      'enforce is for a lower concurrency, tokens or usd. A timeout holds for attempts that start from now on; to end one that runs, cancel its task. Nothing was changed.';
    throw new OpencodeManagerError('CONFIG_INVALID', message);
  }
}
