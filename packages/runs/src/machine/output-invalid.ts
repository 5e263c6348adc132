import type { SerializedError } from '@opencode-manager/core/errors';
import { failure } from './failure.ts';

/** So often a task is told what is wrong with its answer, in the session of its attempt. */
const mostRepairs = 2;

/** Whether an answer that does not fit is the last one. */
export function isUncorrectable(repairs: number): boolean {
  return repairs >= mostRepairs;
}

export function outputInvalid(problems: readonly string[]): SerializedError {
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const message = `The answer does not fit the output schema after ${mostRepairs} corrections: ${problems[0]}${more}.`;
  return failure('OUTPUT_INVALID', message, { details: { errors: [...problems] } });
}
