import type { Outcome } from '@opencode-manager/actors';
import type { ResumePlan } from './resume.types.ts';
import { tasksOf } from './run-tasks.ts';
import type { RunContext, RunCounts, RunTask } from './run.types.ts';
import type { TaskRecord } from './task-record.ts';
import { entries } from './task-table.ts';

/** Counts the tasks of a run by what became of them. Linear in the tasks. */
export function countTasks({ tasks, total, dropped }: Pick<RunContext, 'tasks' | 'total' | 'dropped'>): RunCounts {
  return countEach(entries(tasks), total, dropped);
}

/** The same of what a journal says alone. */
export function countRecords(records: Iterable<TaskRecord>): RunCounts {
  const all = [...records];
  const named = all.filter(({ isDropped }) => !isDropped);
  return countEach(named, named.length, all.length - named.length);
}

function countEach(tasks: Iterable<TaskRecord & Partial<Pick<RunTask, 'isReused'>>>, total: number, dropped: number): RunCounts {
  const outcomes: Partial<Record<Outcome, number>> = {};
  const counts = { skipped: 0, notStarted: 0, reused: 0, succeededFirstTry: 0, succeededAfterRetry: 0 };
  for (const task of tasks) {
    const outcome = outcomeOf(task);
    if (outcome === 'skipped') counts.skipped += 1;
    else if (outcome === 'not_started') counts.notStarted += 1;
    else outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (outcome !== 'succeeded') continue;
    counts.reused += Number(task.isReused === true);
    counts.succeededFirstTry += Number(task.ownTries <= 1);
    counts.succeededAfterRetry += Number(task.ownTries > 1);
  }
  return { total, outcomes, ...counts, dropped };
}

/** The same of a run that nobody has begun to go on with. */
export function countPlan(plan: ResumePlan): RunCounts {
  return countTasks({ tasks: tasksOf(plan), total: plan.tasks.length, dropped: plan.dropped });
}

/** The outcome of the newest attempt. One whose end could not be committed is interrupted until somebody reads its session. */
function outcomeOf({ blockedBy, open, end, isCancelled }: TaskRecord): Outcome | 'skipped' | 'not_started' {
  if (blockedBy !== null) return 'skipped';
  if (open) return 'interrupted';
  return end?.outcome ?? (isCancelled ? 'skipped' : 'not_started');
}

/** What is wrong with the counts of a run that calls itself done; null when they add up. */
export function countsProblem(counts: RunCounts, { tasks }: Pick<RunContext, 'tasks'>): string | null {
  const { total, outcomes, skipped, notStarted, succeededFirstTry, succeededAfterRetry } = counts;
  const ended = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  if (ended + skipped + notStarted !== total)
    return `The counts do not add up: ${total} tasks, ${ended} ended, ${skipped} skipped, ${notStarted} not started.`;
  if (succeededFirstTry + succeededAfterRetry !== (outcomes.succeeded ?? 0)) return 'The counts of tasks that succeeded do not add up.';
  const left = entries(tasks).filter(({ end, blockedBy, isCancelled }) => blockedBy === null && !isCancelled && end?.final !== true);
  return left.length === 0 ? null : `The run calls itself done, and ${left.length} tasks have no final outcome.`;
}
