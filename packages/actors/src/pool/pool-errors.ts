import { OpencodeManagerError, type SerializedError, type ServerExit } from '@opencode-manager/core';

/** Errors of tasks that had no turn of their own, as results carry them. */
export function abortedBeforeStart(): SerializedError {
  return new OpencodeManagerError('TURN_ABORTED', 'The task was aborted before its turn began. Nothing was sent.').toJSON();
}

export function stoppedError(): SerializedError {
  return new OpencodeManagerError('POOL_STOPPED', 'The pool was stopped before the task had its turn. Nothing was sent.').toJSON();
}

/** What every task of a server ends with when the server dies; carries the tail of its output. */
export function serverExited(exit: ServerExit, output: string): SerializedError {
  const how = exit.signal === undefined ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`;
  return new OpencodeManagerError('SERVER_EXITED', `The opencode server ended (${how}).`, { output, details: { ...exit } }).toJSON();
}
