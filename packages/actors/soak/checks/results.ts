import type { TaskResult } from '../../src/index.ts';
import { defaultRestartLimits } from '../../src/machines/index.ts';
import type { PlannedTask } from '../plan.ts';

/**
 * Every task has exactly one result, and it is the whole answer: no fault of the plan is one that a task must not survive, but
 * that of more lost servers under it than the pool repeats it for.
 */
export function checkResults(tasks: readonly PlannedTask[], yielded: readonly TaskResult[], announced: readonly TaskResult[]): string[] {
  return [
    ...tasks.flatMap(({ id }) => [...countOf(id, yielded, 'results'), ...countOf(id, announced, "events 'task.finished'")]),
    ...tasks.flatMap((task) => yielded.filter(({ id }) => id === task.id).flatMap((result) => checkResult(task, result))),
  ];
}

function countOf(taskId: string, results: readonly TaskResult[], what: string): string[] {
  const count = results.filter(({ id }) => id === taskId).length;
  return count === 1 ? [] : [`${taskId}: ${count} ${what} in place of one`];
}

function checkResult({ id, kind, answer }: PlannedTask, result: TaskResult): string[] {
  const { outcome, output, proof, attempt, attempts = [], error } = result;
  if (outcome === 'interrupted' && attempts.length === defaultRestartLimits.maxRestarts) return [];
  if (outcome !== 'succeeded') return [`${id} (${kind}): ${outcome}, attempt ${attempt}: ${error?.code} ${error?.message}`];
  return [
    ...(output === answer ? [] : [`${id} (${kind}): the output is ${JSON.stringify(output)} in place of ${JSON.stringify(answer)}`]),
    ...(proof ? [] : [`${id}: succeeded without a proof`]),
    ...(attempt === attempts.length + 1 ? [] : [`${id}: attempt ${attempt} with ${attempts.length} earlier ones named`]),
  ];
}
