import type { SerializedError } from '@opencode-manager/core/errors';
import { failure } from './failure.ts';

interface Ordered {
  readonly key: string;
  /** Keys that have to succeed first. */
  readonly after: readonly string[];
}

/**
 * Looks for what makes an order of tasks impossible, before anything starts: a key that comes twice, one that `after` names and no task
 * has, a cycle. Null when there is an order. Linear in tasks and dependencies.
 */
export function orderProblem(tasks: readonly Ordered[]): SerializedError | null {
  const byKey = new Map<string, Ordered>();
  for (const task of tasks) {
    if (byKey.has(task.key)) return failure('TASK_DUPLICATE', `Two tasks have the key ${task.key}. Give each task an id of its own.`);
    byKey.set(task.key, task);
  }
  for (const { key, after } of tasks) {
    const unknown = after.find((other) => !byKey.has(other));
    if (unknown !== undefined) return unknownKey(key, unknown);
  }
  const cycle = cycleOf(tasks, byKey);
  if (!cycle) return null;
  return failure('TASK_ORDER_INVALID', `after: the tasks ${cycle.join(' -> ')} wait for each other. Remove one of these dependencies.`, {
    details: { field: 'after', cycle },
  });
}

function unknownKey(key: string, unknown: string): SerializedError {
  const message = `after: task ${key} comes after ${unknown}, and no task has this key. Correct the name, or remove it.`;
  return failure('TASK_ORDER_INVALID', message, { details: { field: 'after', key, unknown } });
}

/** The keys of one cycle, the first again at its end. A search in depth that keeps its own stack: chains may be long. */
function cycleOf(tasks: readonly Ordered[], byKey: ReadonlyMap<string, Ordered>): readonly string[] | undefined {
  const done = new Set<string>();
  for (const { key } of tasks) {
    const path: { readonly key: string; next: number }[] = done.has(key) ? [] : [{ key, next: 0 }];
    const onPath = new Set(path.map((step) => step.key));
    for (let step = path.at(-1); step; step = path.at(-1)) {
      const next = byKey.get(step.key)!.after[step.next];
      step.next += 1;
      if (next === undefined) {
        onPath.delete(step.key);
        done.add(step.key);
        path.pop();
      } else if (onPath.has(next)) {
        const keys = path.map((one) => one.key);
        return [...keys.slice(keys.indexOf(next)), next];
      } else if (!done.has(next)) {
        onPath.add(next);
        path.push({ key: next, next: 0 });
      }
    }
  }
  return undefined;
}
