import { emptyQueue, items, push, remove, shift, type ChunkQueue } from './chunk-queue.ts';

/** Where a task waits. */
export interface Place {
  readonly taskId: string;
  /** Higher runs earlier. */
  readonly priority: number;
  /** Groups of one priority take turns. */
  readonly group: string;
}

interface Group {
  readonly name: string;
  readonly waiting: ChunkQueue<string>;
}

interface Lane {
  readonly priority: number;
  /** Groups that have something waiting, the next one first. */
  readonly groups: readonly Group[];
}

/** Waiting tasks: lanes by falling priority; in a lane groups take turns; in a group first in, first out. Plain JSON. */
export type TaskLanes = readonly Lane[];

export const emptyLanes: TaskLanes = [];

/** Adds a task at the end of its group; a group that had nothing waiting joins the end of the round. */
export function enqueue(lanes: TaskLanes, { taskId, priority, group }: Place): TaskLanes {
  const at = lanes.findIndex((lane) => lane.priority <= priority);
  const lane = lanes[at];
  if (lane?.priority !== priority) {
    const created: Lane = { priority, groups: [{ name: group, waiting: push(emptyQueue, taskId) }] };
    return lanes.toSpliced(at === -1 ? lanes.length : at, 0, created);
  }
  const index = lane.groups.findIndex(({ name }) => name === group);
  const found = lane.groups[index];
  const groups = found
    ? lane.groups.with(index, { name: group, waiting: push(found.waiting, taskId) })
    : [...lane.groups, { name: group, waiting: push(emptyQueue, taskId) }];
  return lanes.with(at, { priority, groups });
}

/** Takes the task whose turn it is; its group goes to the end of the round. */
export function dequeue(lanes: TaskLanes): { readonly taskId: string; readonly rest: TaskLanes } | undefined {
  const [lane, ...others] = lanes;
  const [group, ...round] = lane?.groups ?? [];
  const taken = group && shift(group.waiting);
  if (!lane || !group || !taken) return undefined;
  const groups = taken.rest.length > 0 ? [...round, { name: group.name, waiting: taken.rest }] : round;
  return { taskId: taken.item, rest: groups.length > 0 ? [{ priority: lane.priority, groups }, ...others] : others };
}

/** Takes a task out of its place; gives the same lanes back when it does not wait there. */
export function withdraw(lanes: TaskLanes, { taskId, priority, group }: Place): TaskLanes {
  const at = lanes.findIndex((lane) => lane.priority === priority);
  const lane = lanes[at];
  const index = lane?.groups.findIndex(({ name }) => name === group) ?? -1;
  const found = lane?.groups[index];
  if (!lane || !found) return lanes;
  const waiting = remove(found.waiting, taskId);
  if (waiting === found.waiting) return lanes;
  const groups = waiting.length > 0 ? lane.groups.with(index, { name: group, waiting }) : lane.groups.toSpliced(index, 1);
  return groups.length > 0 ? lanes.with(at, { priority: lane.priority, groups }) : lanes.toSpliced(at, 1);
}

/** Every waiting task, in an order of no meaning across groups. */
export function waitingTasks(lanes: TaskLanes): string[] {
  return lanes.flatMap((lane) => lane.groups.flatMap((group) => items(group.waiting)));
}
