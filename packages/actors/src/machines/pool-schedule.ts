import type { SerializedError } from '@opencode-manager/core';
import type { Outcome } from '../task/types.ts';
import { get, members, put, without } from './bucket-set.ts';
import { push } from './chunk-queue.ts';
import { changeGate, countTurn, idIn, mayBegin } from './provider-gate.ts';
import type { Holder, PoolContext, PoolMachineEvent, TaskStep } from './pool.types.ts';
import { dequeue, emptyLanes, enqueue, waitingTasks, withdraw, type Place, type QueuedTask } from './task-lanes.ts';
import { failure } from './turn-verdict.ts';

/** How a task ends. */
export interface End {
  readonly outcome: Outcome;
  readonly error: SerializedError | null;
}

/** What the end of a task says; of a change it makes a difference whether it was under way. */
type EndOf = (task: QueuedTask, isUnderWay?: boolean) => End;

const nothingTold = { assigned: [], ended: [], aborting: [], returned: [] } as const;

/** What an event tells the host begins anew with it. */
export function fresh(context: PoolContext): PoolContext {
  return { ...context, ...nothingTold };
}

/** Takes a task in: into its lane, or behind the others of its leased session. */
export function queueTask(context: PoolContext, place: Place): PoolContext {
  const { taskId, priority, group, sessionId, provider, isChange, once, unjudged } = place;
  const task: QueuedTask = {
    taskId,
    priority,
    group,
    ...(sessionId !== undefined && { sessionId }),
    ...(provider !== undefined && { provider }),
    ...(isChange && { isChange }),
    ...(once && { once }),
    ...(unjudged && { unjudged }),
    order: context.nextOrder,
    attempts: unjudged ? 1 : 0,
    interruptions: 0,
  };
  const taken = { ...context, nextOrder: context.nextOrder + 1, queued: context.queued + (isChange ? 0 : 1) };
  if (sessionId === undefined) return enter(taken, task);
  const line = taken.lines[sessionId] ?? [];
  const joined = { ...taken, lines: { ...taken.lines, [sessionId]: [...line, task] } };
  return line.length === 0 ? enter(joined, task) : joined;
}

/** Nothing of its session stands before it any more. */
function enter(context: PoolContext, task: QueuedTask, where: typeof push = push): PoolContext {
  if (!task.isChange) return { ...context, waiting: enqueue(context.waiting, task, where) };
  return { ...context, assigned: [...context.assigned, { taskId: task.taskId, step: 'change', attempt: 1 }] };
}

/** Hands free slots to the tasks whose turn it is, while there is a server. Costs one lane operation a slot handed out. */
export function assignSlots(context: PoolContext): PoolContext {
  let next = context;
  while (next.server === 'here' && next.active < next.maxSessions && next.infrastructure.heldUntilMs === null) {
    const { providers, maxSessions } = next;
    const taken = dequeue(next.waiting, (provider) => mayBegin(providers, provider, maxSessions));
    if (!taken) break;
    next = assign({ ...next, waiting: taken.rest, queued: next.queued - 1 }, taken.task);
  }
  return next;
}

function assign(context: PoolContext, task: QueuedTask): PoolContext {
  const holder: Holder = { ...task, step: 'begin', held: false, abortReason: null, error: null };
  const active = { ...context, active: context.active + 1, providers: countActive(context, task, 1) };
  return step(active, holder, task.unjudged ? 'judge' : 'begin');
}

function countActive({ providers, maxSessions }: PoolContext, { provider }: QueuedTask, by: 1 | -1) {
  return changeGate(providers, provider ?? null, maxSessions, (gate) => ({ ...gate, active: gate.active + by }));
}

/** Each of these begins an attempt; the others go on with one. */
const beginning: ReadonlySet<TaskStep> = new Set(['begin', 'repeat', 'retry']);

/** Lets a task that holds a slot take a step now. */
export function step(context: PoolContext, holder: Holder, next: TaskStep): PoolContext {
  const attempts = holder.attempts + (beginning.has(next) ? 1 : 0);
  const { taskId } = holder;
  return {
    ...context,
    holders: put(context.holders, { ...holder, step: next, held: false, attempts }),
    assigned: [...context.assigned, { taskId, step: next, attempt: Math.max(1, attempts) }],
  };
}

/** Keeps the slot of a task for the next server. */
export function hold(context: PoolContext, holder: Holder, next: TaskStep): PoolContext {
  return { ...context, holders: put(context.holders, { ...holder, step: next, held: true }) };
}

/** Takes the slot of a task back. */
export function freeSlot(context: PoolContext, holder: Holder): PoolContext {
  const { taskId } = holder;
  return {
    ...context,
    holders: without(context.holders, taskId),
    active: context.active - 1,
    providers: countActive(context, holder, -1),
  };
}

/** Ends a task, wherever it is not in its lane any more; the next one of its session follows. */
export function endTask(context: PoolContext, task: QueuedTask, { outcome, error }: End): PoolContext {
  const { taskId } = task;
  const ended = { ...context, ended: [...context.ended, { taskId, outcome, error }], ...(!task.isChange && counted(context, outcome)) };
  return leaveLine(ended, task);
}

/** Ends a task that holds a slot. A good turn widens the gate of its provider. */
export function endHolder(context: PoolContext, holder: Holder, end: End): PoolContext {
  const { maxSessions } = context;
  const freed = freeSlot(context, holder);
  const id = idIn(freed.providers, holder.provider ?? null);
  const well = end.outcome === 'succeeded';
  return endTask(
    {
      ...freed,
      providers: changeGate(freed.providers, id, maxSessions, (gate) => countTurn(gate, end.outcome, maxSessions)),
      infrastructure: well && freed.infrastructure.failures > 0 ? { ...freed.infrastructure, failures: 0 } : freed.infrastructure,
    },
    holder,
    end,
  );
}

function counted({ finished, outcomes }: PoolContext, outcome: Outcome): Pick<PoolContext, 'finished' | 'outcomes'> {
  return { finished: finished + 1, outcomes: { ...outcomes, [outcome]: (outcomes[outcome] ?? 0) + 1 } };
}

/** Takes a task out of the line of its session; the one behind it comes up, and a session that is given back goes when none is left. */
export function leaveLine(context: PoolContext, { taskId, sessionId }: Pick<QueuedTask, 'taskId' | 'sessionId'>): PoolContext {
  const line = sessionId === undefined ? undefined : context.lines[sessionId];
  if (sessionId === undefined || !line) return context;
  const wasFirst = line[0]?.taskId === taskId;
  const left = line.filter((task) => task.taskId !== taskId);
  const { [sessionId]: _left, ...others } = context.lines;
  if (left.length === 0) return giveBack({ ...context, lines: others }, sessionId);
  const shorter = { ...context, lines: { ...context.lines, [sessionId]: left } };
  return wasFirst ? enter(shorter, left[0]!) : shorter;
}

function giveBack(context: PoolContext, sessionId: string): PoolContext {
  if (!context.releasing.includes(sessionId)) return context;
  const releasing = context.releasing.filter((one) => one !== sessionId);
  return { ...context, releasing, returned: [...context.returned, sessionId] };
}

/** A leased session goes back to the pool, after what was asked of it. */
export function releaseSession(context: PoolContext, sessionId: string): PoolContext {
  const asked = { ...context, releasing: [...context.releasing, sessionId] };
  return context.lines[sessionId] ? asked : giveBack(asked, sessionId);
}

/** A task without its slot; one whose turn was lost is judged before anything is sent again. */
export function withoutSlot({
  step: at,
  held: _held,
  abortReason: _reason,
  error: _error,
  unjudged: _before,
  ...task
}: Holder): QueuedTask {
  return at === 'judge' || at === 'resume' ? { ...task, unjudged: true } : task;
}

/** Puts a task back that has lost its slot. */
export function requeue(context: PoolContext, task: QueuedTask, where: typeof push = push): PoolContext {
  return enter({ ...context, queued: context.queued + 1 }, task, where);
}

/** Ends a task that waits: in its lane, behind another of its session, for its restart, or for its server. Undefined for any other. */
export function endWaiting(
  context: PoolContext,
  { taskId, priority, group, sessionId }: Pick<Place, 'taskId' | 'priority' | 'group' | 'sessionId'>,
  endOf: EndOf,
): PoolContext | undefined {
  const holder = get(context.holders, taskId);
  if (holder) return holder.held ? endHolder(context, holder, endOf(holder)) : undefined;
  const retrying = context.retrying.find((task) => task.taskId === taskId);
  if (retrying) {
    const others = context.retrying.filter((task) => task !== retrying);
    return endTask({ ...context, retrying: others }, retrying, endOf(retrying));
  }
  const inLane = withdraw(context.waiting, { taskId, priority, group });
  const line = (sessionId !== undefined && context.lines[sessionId]) || [];
  const task = inLane?.task ?? line.slice(1).find((one) => one.taskId === taskId);
  if (!task) return undefined;
  const left = { ...context, waiting: inLane?.rest ?? context.waiting, queued: context.queued - (task.isChange ? 0 : 1) };
  return endTask(left, task, endOf(task));
}

/** Ends whatever waits. */
export function endAllWaiting(context: PoolContext, endOf: EndOf): PoolContext {
  const lined = Object.values(context.lines).flatMap((line) => line.slice(1));
  const heads = new Set(lined.map(({ taskId }) => taskId));
  const waiting = [...waitingTasks(context.waiting), ...context.retrying].filter(({ taskId }) => !heads.has(taskId));
  // Nothing comes up behind what ends: those behind end first.
  const emptied = { ...context, waiting: emptyLanes, queued: 0, retrying: [] };
  const ended = [...lined, ...waiting].reduce((next, task) => endTask(next, task, endOf(task)), emptied as PoolContext);
  return members(ended.holders)
    .filter(({ held }) => held)
    .reduce((next, holder) => endHolder(next, holder, endOf(holder)), ended);
}

/** Ends what is in flight, the changes of leased sessions too. */
export function endAll(context: PoolContext, end: End): PoolContext {
  const ended = members(context.holders).reduce((next, holder) => endHolder(next, holder, end), context);
  return Object.values(ended.lines)
    .flat()
    .reduce((next, task) => endTask(next, task, end), ended);
}

/** Ends what waits of one leased session. */
export function endLine(context: PoolContext, sessionId: string, endOf: EndOf): PoolContext {
  const line = context.lines[sessionId] ?? [];
  return line.toReversed().reduce((next, task) => endWaiting(next, task, endOf) ?? next, context);
}

/** Ends what waits of one leased session, and aborts what is in flight. */
export function endSession(context: PoolContext, sessionId: string, reason: string): PoolContext {
  const ended = endLine(context, sessionId, abortedBy(reason));
  const abort = (next: PoolContext, task: QueuedTask) =>
    abortChange(next, task, abortedBy(reason)) ?? markAborted(next, task.taskId, reason);
  return (ended.lines[sessionId] ?? []).reduce(abort, ended);
}

/** Tells the host that a change is not wanted any more whose place has come. Its session is free when the host says so. */
export function abortChange(
  context: PoolContext,
  { taskId, sessionId }: Pick<Place, 'taskId' | 'sessionId'>,
  endOf: EndOf,
): PoolContext | undefined {
  const [first] = (sessionId !== undefined && context.lines[sessionId]) || [];
  if (!first?.isChange || first.taskId !== taskId) return undefined;
  const { error } = endOf(first, true);
  return { ...context, aborting: [...context.aborting, { taskId, reason: error?.message ?? '', ...(error && { error }) }] };
}

/** Aborts what is in flight, changes included. */
export function abortAll(context: PoolContext, reason: string, endOf: EndOf): PoolContext {
  const marked = members(context.holders).reduce((next, { taskId }) => markAborted(next, taskId, reason), context);
  return Object.values(marked.lines)
    .map(([first]) => first!)
    .reduce((next, task) => abortChange(next, task, endOf) ?? next, marked);
}

/** Notes why a task in flight is to end, and tells the host so. */
export function markAborted(context: PoolContext, taskId: string, abortReason: string): PoolContext {
  const holder = get(context.holders, taskId);
  if (!holder) return context;
  const reason = holder.abortReason ?? abortReason;
  return {
    ...context,
    holders: put(context.holders, { ...holder, abortReason: reason }),
    aborting: [...context.aborting, { taskId, reason }],
  };
}

/** Lets all held tasks go on with the next server, but for those that are to end. */
export function resumeHeld(context: PoolContext): PoolContext {
  return members(context.holders)
    .filter(({ held }) => held)
    .toSorted((a, b) => a.order - b.order)
    .reduce((next, holder) => step(next, holder, holder.step), context);
}

/** Restarts that still lie in the window. */
export function recentRestarts(times: readonly number[], windowMs: number, atMs: number): readonly number[] {
  return times.filter((time) => atMs - time < windowMs);
}

/** +-20 %: what was lost together does not come back together. The last wait repeats. */
export function backoffOf(backoffMs: readonly number[], restartsSoFar: number, jitter: number): number {
  return Math.round((backoffMs[Math.min(restartsSoFar, backoffMs.length - 1)] ?? 0) * (1 + 0.2 * jitter));
}

/** Whether nothing is left to do. */
export function isEmpty({ active, queued, retrying, lines }: PoolContext): boolean {
  return active === 0 && queued === 0 && retrying.length === 0 && Object.keys(lines).length === 0;
}

/** Why a task is over that was aborted before its turn began, or between two attempts; or a change. */
export function abortedBy(reason: string): EndOf {
  return ({ attempts, isChange }, isUnderWay) => ({
    outcome: 'aborted',
    error: isChange
      ? failure('REQUEST_ABORTED', `${reason} ${fateOfChange(isUnderWay)}`)
      : failure(
          'TURN_ABORTED',
          attempts > 0 ? `${reason} An earlier attempt had been sent.` : `${reason} Its turn had not begun: nothing was sent.`,
        ),
  });
}

export const poolStopped: EndOf = ({ attempts, isChange }, isUnderWay) => ({
  outcome: 'aborted',
  error: failure('POOL_STOPPED', isChange ? `The pool was stopped. ${fateOfChange(isUnderWay)}` : stoppedBefore(attempts)),
});

function stoppedBefore(attempts: number): string {
  return attempts > 0
    ? 'The pool was stopped before the next attempt of the task. An earlier one had been sent.'
    : 'The pool was stopped before the task had its turn. Nothing was sent.';
}

export const overdue =
  (timeoutMs: number): EndOf =>
  ({ isChange }, isUnderWay) => ({
    outcome: 'timed_out',
    error: isChange
      ? failure('REQUEST_TIMEOUT', `Not over ${timeoutMs} ms after it was asked for. ${fateOfChange(isUnderWay)}`)
      : failure('TURN_TIMEOUT', `The turn was not over ${timeoutMs} ms after it was asked for, the wait for its session included.`),
  });

const fateOfChange = (isUnderWay = false): string =>
  isUnderWay ? 'Whether the server acted on it is unknown.' : 'It had not begun: nothing was changed.';

export type EventOf<Type extends PoolMachineEvent['type']> = Extract<PoolMachineEvent, { type: Type }>;
