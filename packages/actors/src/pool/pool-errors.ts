import { OpencodeManagerError, type SerializedError } from '@opencode-manager/core/errors';

/** Errors of tasks that had no turn of their own, as results carry them. */
export function abortedBeforeStart(): SerializedError {
  return new OpencodeManagerError('TURN_ABORTED', 'The task was aborted before its turn began. Nothing was sent.').toJSON();
}

export function stoppedError(): SerializedError {
  return new OpencodeManagerError('POOL_STOPPED', 'The pool was stopped before the task had its turn. Nothing was sent.').toJSON();
}

/** A task that was aborted while its server was started again: its turn had begun. */
export function abortedMeanwhile(reason: string): SerializedError {
  return new OpencodeManagerError('TURN_ABORTED', reason).toJSON();
}
