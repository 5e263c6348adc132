import { readFile } from 'node:fs/promises';
import type { ResultReading, TaskReading } from '@opencode-manager/runs/read';
import { plural } from '../render/index.ts';
import { patchOf } from './patch-of.ts';

/** A prediction as the harness of SWE-bench reads it. */
export interface Prediction {
  readonly instance_id: string;
  readonly model_name_or_path: string;
  readonly model_patch: string;
}

/** Tasks without a prediction, by the reason. */
export interface LeftOut {
  never_ran: number;
  no_patch: number;
  not_text: number;
}

/**
 * The prediction of a task that ran, with an empty patch when it changed nothing; undefined when there is none: an empty one would pass for an
 * answer. `leftOut` counts those.
 */
export async function predictionOf(path: string, task: TaskReading, leftOut: LeftOut): Promise<Prediction | undefined> {
  if (task.type !== 'result' || !task.attempt.billed) {
    leftOut.never_ran += 1;
    return undefined;
  }
  const patch = await textOfPatch(path, task);
  if (typeof patch === 'string')
    return { instance_id: task.key, model_name_or_path: task.attempt.result.model ?? 'unknown', model_patch: patch };
  leftOut[patch.why] += 1;
  return undefined;
}

async function textOfPatch(path: string, { attempt }: ResultReading): Promise<string | { why: 'no_patch' | 'not_text' }> {
  const patch = await patchOf(path, attempt);
  if (patch.type === 'empty') return '';
  if (patch.type === 'missing') return { why: 'no_patch' };
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readFile(patch.path));
  } catch (error) {
    // A patch of a file in another encoding would come out as another patch.
    if (error instanceof TypeError) return { why: 'not_text' };
    throw error;
  }
}

/** A sentence for each reason that left tasks out. */
export function leftOutText({ never_ran: never, no_patch: none, not_text: other }: LeftOut): string[] {
  const reasons: readonly [number, string][] = [
    [never, 'never ran, or not over'],
    [none, 'no patch was taken (no workspace of their own, or it failed)'],
    [other, 'the patch is not UTF-8; ocm diff has it'],
  ];
  return reasons.flatMap(([count, why]) => (count === 0 ? [] : [`${plural(count, 'task')} without a prediction: ${why}.`]));
}
