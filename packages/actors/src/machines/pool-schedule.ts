import type { Outcome } from '../task/types.ts';
import { add, has, without } from './bucket-set.ts';
import { failure } from './turn-verdict.ts';
import { allowedTurns, countTurn, pauseProvider, resumeProvider } from './provider-gate.ts';
import type { LostTask, PoolContext, PoolMachineEvent } from './pool.types.ts';
import { dequeue, emptyLanes, enqueue, waitingTasks, withdraw, type Place } from './task-lanes.ts';

type Crash = Extract<PoolMachineEvent, { type: 'task.crashed' }>;
type Pause = Extract<PoolMachineEvent, { type: 'provider.paused' }>;
type ServerExit = Extract<PoolMachineEvent, { type: 'server.exited' }>;

const nothingTold = { assigned: [], lost: [] } as const;

/** Puts a task into its lane. */
export function queueTask(context: PoolContext, place: Place): PoolContext {
  return { ...context, ...nothingTold, waiting: enqueue(context.waiting, place), queued: context.queued + 1 };
}

/** Hands free slots to the tasks whose turn it is. Costs one lane operation a slot handed out. */
export function assignSlots(context: PoolContext): PoolContext {
  let { waiting, queued, holders, active } = context;
  const assigned: string[] = [];
  const allowed = allowedTurns(context.provider, context.maxSessions);
  while (active < allowed) {
    const next = dequeue(waiting);
    if (!next) break;
    waiting = next.rest;
    holders = add(holders, next.taskId);
    assigned.push(next.taskId);
    queued -= 1;
    active += 1;
  }
  return { ...context, waiting, queued, holders, active, assigned };
}

/** Takes the slot back; a second notice for the same task changes nothing. */
export function freeSlot(context: PoolContext, taskId: string, outcome: Outcome): PoolContext {
  if (!has(context.holders, taskId)) return { ...context, ...nothingTold };
  return {
    ...context,
    ...nothingTold,
    holders: without(context.holders, taskId),
    held: context.held.filter((held) => held !== taskId),
    active: context.active - 1,
    provider: countTurn(context.provider, outcome, context.maxSessions),
    ...countOutcome(context, outcome),
  };
}

/** Takes a waiting task out of the queue; one that is not there (any more) changes nothing. */
export function cancelTask(context: PoolContext, place: Place): PoolContext {
  if (context.held.includes(place.taskId)) return freeSlot(context, place.taskId, 'aborted');
  const retrying = context.retrying.filter(({ taskId }) => taskId !== place.taskId);
  if (retrying.length < context.retrying.length) return { ...context, ...nothingTold, retrying, ...countOutcome(context, 'aborted') };
  const waiting = withdraw(context.waiting, place);
  if (waiting === context.waiting) return { ...context, ...nothingTold };
  return { ...context, ...nothingTold, waiting, queued: context.queued - 1, ...countOutcome(context, 'aborted') };
}

/** Restarts that still lie in the window. */
export function recentRestarts({ restartTimes, restartLimits }: PoolContext, atMs: number): readonly number[] {
  return restartTimes.filter((time) => atMs - time < restartLimits.windowMs);
}

/** +-20 %: what was lost together does not come back together. The last wait repeats. */
function backoffOf({ backoffMs }: PoolContext['restartLimits'], restartsSoFar: number, jitter: number): number {
  return Math.round((backoffMs[Math.min(restartsSoFar, backoffMs.length - 1)] ?? 0) * (1 + 0.2 * jitter));
}

/** Frees the slot of a task whose session was lost, and notes that it will be tried again after a wait. */
export function planRestart(context: PoolContext, { taskId, priority, group, atMs, jitter }: Crash): PoolContext {
  const recent = recentRestarts(context, atMs);
  return {
    ...context,
    ...nothingTold,
    holders: without(context.holders, taskId),
    active: context.active - 1,
    restarts: context.restarts + 1,
    restartTimes: [...recent, atMs],
    retrying: [...context.retrying, { taskId, priority, group }],
    retryDelayMs: backoffOf(context.restartLimits, recent.length, jitter),
  };
}

/** Gives a task up whose restart budget is spent. */
export function giveUp(context: PoolContext, { taskId, error }: Crash): PoolContext {
  const { maxRestarts, windowMs } = context.restartLimits;
  const message = `The task's session was lost, and ${maxRestarts} restarts within ${windowMs} ms are spent: ${error.message}`;
  const freed = freeSlot(context, taskId, 'failed');
  return { ...freed, lost: [{ taskId, reason: 'budget_spent', error: { ...failure('RESTART_BUDGET_SPENT', message), cause: error } }] };
}

/** Puts a task back whose wait is over. */
export function requeue(context: PoolContext, place: Place): PoolContext {
  const retrying = context.retrying.filter(({ taskId }) => taskId !== place.taskId);
  return queueTask({ ...context, retrying }, place);
}

/** Empties queue, waiting restarts and held tasks; tells the host which tasks that were. */
export function loseWaiting(context: PoolContext, reason: LostTask['reason'], error: LostTask['error']): PoolContext {
  const { held } = context;
  const ids = [...waitingTasks(context.waiting), ...context.retrying.map(({ taskId }) => taskId), ...held];
  const outcome: Outcome = reason === 'server_lost' ? 'server_lost' : 'aborted';
  const counted = ids.length === 0 ? {} : countOutcome(context, outcome, ids.length);
  return {
    ...context,
    ...counted,
    waiting: emptyLanes,
    queued: 0,
    retrying: [],
    held: [],
    holders: held.reduce(without, context.holders),
    active: context.active - held.length,
    assigned: [],
    lost: ids.map((taskId) => ({ taskId, reason, error })),
  };
}

function countOutcome({ finished, outcomes }: PoolContext, outcome: Outcome, by = 1): Pick<PoolContext, 'finished' | 'outcomes'> {
  return { finished: finished + by, outcomes: { ...outcomes, [outcome]: (outcomes[outcome] ?? 0) + by } };
}

/** Server restarts that still lie in the window. */
export function recentServerRestarts({ serverRestartTimes, restartLimits }: PoolContext, atMs: number): readonly number[] {
  return serverRestartTimes.filter((time) => atMs - time < restartLimits.windowMs);
}

/** Notes that the server is started again after a wait. */
export function planRecovery(context: PoolContext, { recovery }: ServerExit): PoolContext {
  if (!recovery) return context;
  const recent = recentServerRestarts(context, recovery.atMs);
  return {
    ...context,
    ...nothingTold,
    serverRestarts: context.serverRestarts + 1,
    serverRestartTimes: [...recent, recovery.atMs],
    recoveryDelayMs: backoffOf(context.restartLimits, recent.length, recovery.jitter),
  };
}

/** Ends the pool's work for want of a server. */
export function loseServer(context: PoolContext, { error: cause, recovery }: ServerExit): PoolContext {
  const error = recovery ? budgetSpent(context, cause) : cause;
  return { ...loseWaiting(context, 'server_lost', error), error };
}

function budgetSpent({ restartLimits: { maxRestarts, windowMs } }: PoolContext, cause: ServerExit['error']): ServerExit['error'] {
  const message = `The opencode server was lost, and ${maxRestarts} restarts within ${windowMs} ms are spent: ${cause.message}`;
  return { ...failure('RESTART_BUDGET_SPENT', message), ...(cause.output !== undefined && { output: cause.output }), cause };
}

/** Keeps the slot of a task for the next server. */
export function holdTask(context: PoolContext, taskId: string): PoolContext {
  if (!has(context.holders, taskId) || context.held.includes(taskId)) return { ...context, ...nothingTold };
  return { ...context, ...nothingTold, held: [...context.held, taskId] };
}

/** Lets a task go on at once: the loss of its server was noticed after the recovery from it. */
export function resumeTask(context: PoolContext, taskId: string): PoolContext {
  return { ...context, ...nothingTold, assigned: has(context.holders, taskId) ? [taskId] : [] };
}

/** Lets all held tasks go on, and gives free slots to those that wait. */
export function resumeHeld(context: PoolContext): PoolContext {
  const next = assignSlots({ ...context, ...nothingTold, held: [] });
  return { ...next, assigned: [...context.held, ...next.assigned] };
}

/** Ends a task that would go on, for want of a server. */
export function loseHeld(context: PoolContext, taskId: string): PoolContext {
  if (!has(context.holders, taskId)) return { ...context, ...nothingTold };
  return { ...freeSlot(context, taskId, 'server_lost'), lost: [{ taskId, reason: 'server_lost', error: context.error }] };
}

/** Holds new turns back while the provider wants a pause. */
export function pause(context: PoolContext, event: Pause): PoolContext {
  return { ...context, ...nothingTold, provider: pauseProvider(context.provider, event) };
}

export function endPause(context: PoolContext): PoolContext {
  return { ...context, ...nothingTold, provider: resumeProvider(context.provider) };
}
