import { members } from './bucket-set.ts';
import type { PoolContext } from './pool.types.ts';
import type { MachineStep } from './step.ts';
import { firstOf } from './task-lanes.ts';

/** One value of a context that changed; `path` is dotted. A value that is absent is left out. */
export interface ContextChange {
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Longer lists are shown by their first entries and their length. */
const shown = 12;

/** Values below this depth are compared as wholes. */
const maxDepth = 6;

/**
 * The context of a step as small plain JSON. The pool's queues and sets hold thousands of tasks in a shape made for speed:
 * they become their first entries and a count. Costs nothing for sessions and servers, whose contexts are plain already;
 * what did not change stays the same object, so that {@link contextChanges} can pass it by.
 *
 * @example
 * createSessionPool({ inspect: (step) => console.log(step.actor, step.path, plainContext(step)) })
 * @public
 */
export function plainContext({ machine, context }: Pick<MachineStep, 'machine' | 'context'>): unknown {
  return machine === 'pool' ? plainPool(context as PoolContext) : context;
}

function plainPool({ waiting, holders, assigned, ended, aborting, retrying, lines, ...rest }: PoolContext): object {
  const held = members(holders).filter((holder) => holder.held);
  return {
    ...rest,
    waiting: waiting.map(({ priority, groups }) => ({
      priority,
      groups: groups.length,
      next: groups.slice(0, 3).map((group) => ({ name: group.name, taskId: firstOf(group)?.taskId ?? null })),
    })),
    lines: Object.keys(lines).length,
    retrying: shorten(retrying),
    held: shorten(held),
    assigned: shorten(assigned),
    ended: shorten(ended),
    aborting: shorten(aborting),
  };
}

function shorten(list: readonly { readonly taskId: string }[]): readonly string[] {
  const ids = list.slice(0, shown).map(({ taskId }) => taskId);
  return list.length <= shown ? ids : [...ids, `and ${list.length - shown} more`];
}

/**
 * What differs between two plain contexts, leaf by leaf; lists are compared as wholes. Costs one walk over what is not
 * the same object.
 *
 * @example
 * contextChanges({ turn: null, turns: 0 }, { turn: null, turns: 1 }) // [{ path: 'turns', before: 0, after: 1 }]
 * @public
 */
export function contextChanges(before: unknown, after: unknown): readonly ContextChange[] {
  const changes: ContextChange[] = [];
  collect(before, after, '', 0, changes);
  return changes;
}

function collect(before: unknown, after: unknown, path: string, depth: number, changes: ContextChange[]): void {
  if (Object.is(before, after)) return;
  if (isRecord(before) && isRecord(after) && depth < maxDepth) {
    for (const key of Object.keys({ ...before, ...after }))
      collect(before[key], after[key], path === '' ? key : `${path}.${key}`, depth + 1, changes);
  } else if (!isSame(before, after)) {
    changes.push({ path, ...(before !== undefined && { before }), ...(after !== undefined && { after }) });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return JSON.stringify(a) === JSON.stringify(b);
}
