import { abortFlight } from './run-attempts.ts';
import { flightOf, move, taskOf, write } from './run-tasks.ts';
import type { EventOf, RunContext, RunTask } from './run.types.ts';
import { hasSucceeded } from './task-record.ts';
import { find, replace } from './task-table.ts';

/**
 * A user wants no more of a task: a row says so, and what is in flight is aborted. A task that waits has come to its end with that row; one whose
 * last attempt is to be read is read first. No attempt of it starts from now on.
 */
export function cancelTask(context: RunContext, { key, reason }: EventOf<'task.cancelled'>): RunContext {
  const task = find(context.tasks, key);
  if (!task || !mayCancel(context, task)) return context;
  const unwanted = { ...task, isCancelled: true };
  const told = write({ ...context, tasks: replace(context.tasks, unwanted) }, { type: 'task.cancelled', key });
  const flight = flightOf(context, key);
  if (flight) return abortFlight(told, flight, 'user', reason);
  return task.open ? told : move(told, unwanted, 'skipping');
}

/** Whether there is anything left of it to cancel. */
export function mayCancel({ closing }: RunContext, { place, isCancelled }: RunTask): boolean {
  return closing === 'no' && !isCancelled && place !== 'settled' && place !== 'skipping' && place !== 'requeueing';
}

/** A task that has come to its end is tried again, and so are those that were skipped because of it. */
export function requeueTask(context: RunContext, { key, force = false }: EventOf<'task.requeued'>): RunContext {
  const task = find(context.tasks, key);
  if (!task || !mayRequeue(context, task, force)) return context;
  return withSkipped(context, key).reduce((next, one) => requeueOne(next, taskOf(next, one)), context);
}

/** What comes after it, and has not begun, waits for it again. */
function requeueOne(context: RunContext, task: RunTask): RunContext {
  const requeued = write(move(context, task, 'requeueing'), { type: 'task.requeued', key: task.key });
  return task.dependents.reduce((next, key) => {
    const dependent = taskOf(next, key);
    return dependent.place === 'ready' || dependent.place === 'suspect' ? move(next, dependent, 'blocked') : next;
  }, requeued);
}

/** Whether it can be tried again: it has come to its end by itself, and the run still takes tasks. */
export function mayRequeue({ ending, closing }: RunContext, task: RunTask, force: boolean): boolean {
  const isOpen = ending === null && closing === 'no';
  return isOpen && task.place === 'settled' && task.blockedBy === null && (force || !hasSucceeded(task));
}

/** A task, and those that were skipped because of it, or because of one of these. */
function withSkipped(context: RunContext, key: string): readonly string[] {
  const found = new Set([key]);
  // What is added meanwhile is walked through too.
  for (const one of found)
    for (const dependent of taskOf(context, one).dependents) {
      const { place, blockedBy } = taskOf(context, dependent);
      if (place === 'settled' && blockedBy === one) found.add(dependent);
    }
  return [...found];
}

/** Attempts in flight at most. To enforce fewer, the newest are aborted: they have cost least. */
export function changeConcurrency(context: RunContext, { concurrency, enforces = false }: EventOf<'concurrency.changed'>): RunContext {
  const changed: RunContext = { ...context, settings: { ...context.settings, concurrency } };
  if (!enforces) return changed;
  const reason = `At most ${concurrency} attempts are to run at once.`;
  const staying = context.flights.filter(({ abort, phase }) => abort === null && phase !== 'ending');
  return staying.slice(concurrency).reduce((next, flight) => abortFlight(next, flight, 'manager', reason), changed);
}
