import { emptyQueue, items, push, remove, shift, type ChunkQueue } from './chunk-queue.ts';

/** In the place of a provider's id: a shell line asks no model, and waits for no provider. */
export const noProvider = '';

/** Where a task waits. */
export interface Place {
  readonly taskId: string;
  /** Higher runs earlier. */
  readonly priority: number;
  /** Groups of one priority take turns. */
  readonly group: string;
  /** The leased session that the task is for: its tasks run one after the other. */
  readonly sessionId?: string;
  /** Id of the provider that its model belongs to; absent when that is not known, {@link noProvider} when it asks none. */
  readonly provider?: string;
  /** No turn: a change of a leased session that must not meet one. It needs no slot. */
  readonly isChange?: true;
  /** It is begun once, whatever the pool does with others: its owner decides about further attempts. */
  readonly once?: true;
  /** Its newest turn is still to be judged: nothing else may be sent before. */
  readonly unjudged?: true;
}

/** A task that was taken in, with what became of its attempts. */
export interface QueuedTask extends Place {
  /** Grows with each task that is taken in. */
  readonly order: number;
  /** Attempts that were begun. */
  readonly attempts: number;
  /** Attempts that broke off with their server. */
  readonly interruptions: number;
  /** How often its session could not be read; absent for never. */
  readonly unread?: number;
}

/** Tasks of one provider, in their order. */
interface ProviderQueue {
  readonly provider: string | null;
  readonly waiting: ChunkQueue<QueuedTask>;
}

interface Group {
  readonly name: string;
  /** None is empty. */
  readonly queues: readonly ProviderQueue[];
}

interface Lane {
  readonly priority: number;
  /** Groups that have something waiting, the next one first. */
  readonly groups: readonly Group[];
}

/**
 * Waiting tasks: lanes by falling priority; in a lane groups take turns; in a group first in, first out among the tasks
 * whose provider may be asked. Plain JSON.
 */
export type TaskLanes = readonly Lane[];

export const emptyLanes: TaskLanes = [];

/** Adds a task to its group, at its end or before all others; a group that had nothing waiting joins the end of the round. */
export function enqueue(lanes: TaskLanes, task: QueuedTask, put: typeof push = push): TaskLanes {
  const { priority, group: name } = task;
  const at = lanes.findIndex((lane) => lane.priority <= priority);
  const lane = lanes[at];
  const alone: Group = { name, queues: withTask([], task, put) };
  if (lane?.priority !== priority) return lanes.toSpliced(at === -1 ? lanes.length : at, 0, { priority, groups: [alone] });
  const index = lane.groups.findIndex((group) => group.name === name);
  const found = lane.groups[index];
  const groups = found ? lane.groups.with(index, { name, queues: withTask(found.queues, task, put) }) : [...lane.groups, alone];
  return lanes.with(at, { priority, groups });
}

/** Takes the first task in turn that may start; its group goes to the end of the round. */
export function dequeue(
  lanes: TaskLanes,
  mayStart: (provider: string | null) => boolean,
): { readonly task: QueuedTask; readonly rest: TaskLanes } | undefined {
  for (const [at, { priority, groups }] of lanes.entries()) {
    for (const [index, group] of groups.entries()) {
      const taken = takeFrom(group, mayStart);
      if (!taken) continue;
      const round = groups.toSpliced(index, 1);
      const left = taken.rest.length > 0 ? [...round, { name: group.name, queues: taken.rest }] : round;
      return { task: taken.task, rest: withGroups(lanes, at, priority, left) };
    }
  }
  return undefined;
}

/** Takes a task out of its place; undefined when it does not wait there. */
export function withdraw(
  lanes: TaskLanes,
  { taskId, priority, group }: Pick<Place, 'taskId' | 'priority' | 'group'>,
): { readonly task: QueuedTask; readonly rest: TaskLanes } | undefined {
  const at = lanes.findIndex((lane) => lane.priority === priority);
  const lane = lanes[at];
  const index = lane?.groups.findIndex(({ name }) => name === group) ?? -1;
  const found = lane?.groups[index];
  if (!lane || !found) return undefined;
  for (const [place, { provider, waiting }] of found.queues.entries()) {
    const task = items(waiting).find((one) => one.taskId === taskId);
    if (!task) continue;
    const left = remove(waiting, (one) => one === task);
    const queues = left.length > 0 ? found.queues.with(place, { provider, waiting: left }) : found.queues.toSpliced(place, 1);
    const groups = queues.length > 0 ? lane.groups.with(index, { name: group, queues }) : lane.groups.toSpliced(index, 1);
    return { task, rest: withGroups(lanes, at, priority, groups) };
  }
  return undefined;
}

/** Every waiting task, in an order of no meaning across groups. */
export function waitingTasks(lanes: TaskLanes): QueuedTask[] {
  return lanes.flatMap(({ groups }) => groups.flatMap(({ queues }) => queues.flatMap(({ waiting }) => items(waiting))));
}

/** The task of a group that came first. */
export function firstOf({ queues }: Group): QueuedTask | undefined {
  return queues.map(({ waiting }) => waiting[0]![0]!).toSorted((a, b) => a.order - b.order)[0];
}

function withTask(queues: readonly ProviderQueue[], task: QueuedTask, put: typeof push): readonly ProviderQueue[] {
  const provider = task.provider ?? null;
  const at = queues.findIndex((queue) => queue.provider === provider);
  return at === -1
    ? [...queues, { provider, waiting: put(emptyQueue, task) }]
    : queues.with(at, { provider, waiting: put(queues[at]!.waiting, task) });
}

function takeFrom({ name, queues }: Group, mayStart: (provider: string | null) => boolean) {
  const open = queues.filter(({ provider }) => mayStart(provider));
  const first = firstOf({ name, queues: open });
  if (!first) return undefined;
  const at = queues.findIndex(({ provider }) => provider === (first.provider ?? null));
  const { provider, waiting } = queues[at]!;
  const { rest } = shift(waiting)!;
  return { task: first, rest: rest.length > 0 ? queues.with(at, { provider, waiting: rest }) : queues.toSpliced(at, 1) };
}

function withGroups(lanes: TaskLanes, at: number, priority: number, groups: readonly Group[]): TaskLanes {
  return groups.length > 0 ? lanes.with(at, { priority, groups }) : lanes.toSpliced(at, 1);
}
