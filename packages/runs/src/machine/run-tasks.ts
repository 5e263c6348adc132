import type { JournalEvent } from '../journal/events.ts';
import type { ResumePlan } from './resume.types.ts';
import type { Flight, RunContext, RunEffect, RunTask, TaskPlace } from './run.types.ts';
import { accountOf, fallbackFor, providerOf } from './provider-gates.ts';
import { hasSucceeded, isSuspect } from './task-record.ts';
import { find, replace, tableOf, type TaskTable } from './task-table.ts';

/** The tasks of a plan, none of which has its place yet. */
export function tasksOf({ tasks }: ResumePlan, models: Readonly<Record<string, string>> = {}): TaskTable<RunTask> {
  const known = new Map(Object.entries(models));
  const dependents = new Map<string, string[]>(tasks.map(({ key }) => [key, []]));
  for (const { key, after } of tasks) for (const other of new Set(after)) dependents.get(other)?.push(key);
  return tableOf(
    tasks.map(({ decision, ...task }, order): RunTask => {
      const place = decision === 'look' ? 'unlooked' : decision === 'reuse' || decision === 'skip' ? 'settled' : 'blocked';
      const model = known.get(task.key) ?? null;
      const asks = { model, provider: model === null ? null : providerOf(model) };
      return { ...task, ...asks, order, dependents: dependents.get(task.key)!, place, isReused: decision === 'reuse', unread: 0 };
    }),
  );
}

export function taskOf({ tasks }: RunContext, key: string): RunTask {
  const task = find(tasks, key);
  if (!task) throw new Error(`The run has no task ${key}.`);
  return task;
}

/** Adds an effect to what the host is told with this event. */
export function tell(context: RunContext, ...effects: readonly RunEffect[]): RunContext {
  return { ...context, effects: [...context.effects, ...effects] };
}

/** Adds rows to those that are committed next. */
export function write(context: RunContext, ...events: readonly JournalEvent[]): RunContext {
  return { ...context, outbox: [...context.outbox, ...events] };
}

export function flightOf({ flights }: RunContext, key: string): Flight | undefined {
  return flights.find((flight) => flight.key === key);
}

export function changeFlight(context: RunContext, flight: Flight): RunContext {
  return { ...context, flights: context.flights.map((other) => (other.key === flight.key ? flight : other)) };
}

export function endFlight(context: RunContext, key: string): RunContext {
  return { ...context, flights: context.flights.filter((flight) => flight.key !== key) };
}

const lists = { suspect: 'suspects', unlooked: 'unlooked' } as const;

function listOf(place: TaskPlace): 'suspects' | 'unlooked' | undefined {
  return place in lists ? lists[place as keyof typeof lists] : undefined;
}

/** Puts a task in its place, and keeps what is counted and listed by places. */
export function move(context: RunContext, task: RunTask, place: TaskPlace): RunContext {
  const [from, to] = [listOf(task.place), listOf(place)];
  const left = from === undefined ? context : { ...context, [from]: context[from].toSpliced(context[from].indexOf(task.key), 1) };
  const counted: RunContext = {
    ...left,
    ready: task.place === 'ready' ? withoutReady(left.ready, task.key) : left.ready,
    tasks: replace(left.tasks, { ...task, place }),
    delayed: left.delayed + Number(place === 'delayed') - Number(task.place === 'delayed'),
    unsettled: left.unsettled + Number(place !== 'settled') - Number(task.place !== 'settled'),
  };
  if (place === 'ready') return addReady(counted, task);
  return to === undefined ? counted : { ...counted, [to]: insert(counted, counted[to], task) };
}

/** It waits with those that ask the same provider. */
function addReady(context: RunContext, task: RunTask): RunContext {
  const id = (task.fallback === null && task.end?.outcome !== 'quota_exhausted' ? task.provider : accountOf(context, task)) ?? '';
  return { ...context, ready: { ...context.ready, [id]: insert(context, context.ready[id] ?? [], task) } };
}

/** What leaves is the first of its list, as a rule. */
function withoutReady(ready: RunContext['ready'], key: string): RunContext['ready'] {
  const [id, keys] =
    Object.entries(ready).find(([, list]) => list[0] === key) ?? Object.entries(ready).find(([, list]) => list.includes(key))!;
  const { [id]: _list, ...others } = ready;
  return keys.length > 1 ? { ...ready, [id]: keys.toSpliced(keys.indexOf(key), 1) } : others;
}

/** Keeps a list in the order of the source: a binary search, and one copy of the list. */
function insert(context: RunContext, keys: readonly string[], { key, order }: RunTask): readonly string[] {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (taskOf(context, keys[middle]!).order < order) low = middle + 1;
    else high = middle;
  }
  return keys.toSpliced(low, 0, key);
}

/** Puts a task that waits where its dependencies, its delay and its past allow. */
export function placeWaiting(context: RunContext, task: RunTask, atMs: number): RunContext {
  if (task.open) return move(context, task, 'unlooked');
  if (task.isCancelled) return releaseDependents(move(context, task, 'settled'), task.key, atMs);
  const dependencies = task.after.map((key) => taskOf(context, key));
  const blocker = dependencies.find((other) => other.place === 'settled' && !hasSucceeded(other));
  if (blocker) {
    const skipped: JournalEvent = { type: 'task.skipped', key: task.key, blockedBy: blocker.key };
    return write(move(context, task, 'skipping'), skipped);
  }
  if (!dependencies.every((other) => other.place === 'settled' && hasSucceeded(other))) return move(context, task, 'blocked');
  const { notBeforeMs } = task;
  // Another model need not wait for the quota of its own.
  const isFree = task.fallback === null && fallbackFor(context, task) !== null;
  if (notBeforeMs === null || notBeforeMs <= atMs || isFree) return move(context, task, isSuspect(task) ? 'suspect' : 'ready');
  const delayMs = Math.min(notBeforeMs - atMs, context.settings.quota.longestMs);
  return tell(move(context, task, 'parked'), { type: 'schedule', params: { timer: { name: 'attempt', key: task.key }, delayMs } });
}

/** Looks again at the tasks that come after one that is settled. */
export function releaseDependents(context: RunContext, key: string, atMs: number): RunContext {
  return taskOf(context, key).dependents.reduce((next, dependent) => {
    const task = taskOf(next, dependent);
    return task.place === 'blocked' ? placeWaiting(next, task, atMs) : next;
  }, context);
}
