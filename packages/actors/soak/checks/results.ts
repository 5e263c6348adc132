import type { ProtocolName } from '@opencode-manager/core';
import type { TaskResult } from '../../src/index.ts';
import { defaultRestartLimits } from '../../src/machines/index.ts';
import type { PlannedTask } from '../plan.ts';
import { brokenTexts } from '../script.ts';

/**
 * Every task has exactly one result, and it is the whole answer: no fault of the plan is one that a task must not survive, but
 * that of more lost servers under it than the pool repeats it for.
 */
export function checkResults(
  tasks: readonly PlannedTask[],
  yielded: readonly TaskResult[],
  announced: readonly TaskResult[],
  protocol: ProtocolName,
): string[] {
  return [
    ...tasks.flatMap(({ id }) => [...countOf(id, yielded, 'results'), ...countOf(id, announced, "events 'task.finished'")]),
    ...tasks.flatMap((task) => yielded.filter(({ id }) => id === task.id).flatMap((result) => checkResult(task, result, protocol))),
  ];
}

function countOf(taskId: string, results: readonly TaskResult[], what: string): string[] {
  const count = results.filter(({ id }) => id === taskId).length;
  return count === 1 ? [] : [`${taskId}: ${count} ${what} in place of one`];
}

function checkResult({ id, kind, answer }: PlannedTask, result: TaskResult, protocol: ProtocolName): string[] {
  const { outcome, output, proof, attempt, attempts = [], error } = result;
  if (outcome === 'interrupted' && attempts.length === defaultRestartLimits.maxRestarts) return [];
  if (outcome !== 'succeeded') return [`${id} (${kind}): ${outcome}, attempt ${attempt}: ${error?.code} ${error?.message}`];
  return [
    ...(output === answer || (protocol === 'v2' && isContinued(output, answer))
      ? []
      : [`${id} (${kind}): the output is ${JSON.stringify(output)} in place of ${JSON.stringify(answer)}`]),
    ...(proof ? [] : [`${id}: succeeded without a proof`]),
    ...(attempt === attempts.length + 1 ? [] : [`${id}: attempt ${attempt} with ${attempts.length} earlier ones named`]),
  ];
}

/**
 * Behind what a stream that broke had said, opencode 2 asks the model to go on: both are the output then. The scripted model
 * begins its answer anew.
 */
function isContinued(output: string, answer: string): boolean {
  return output.endsWith(answer) && isBroken(output.slice(0, -answer.length), [answer, ...brokenTexts]);
}

function isBroken(rest: string, texts: readonly string[]): boolean {
  if (rest === '') return true;
  return texts.map((text) => commonLength(rest, text)).some((length) => length > 0 && isBroken(rest.slice(length), texts));
}

function commonLength(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return length;
}
