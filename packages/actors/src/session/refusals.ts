import { OpencodeManagerError, type ErrorCode } from '@opencode-manager/core/errors';

/** After these it is unknown whether the server acted: the history is read back, and nothing is sent again. */
const unknownOutcome: ReadonlySet<ErrorCode> = new Set([
  'REQUEST_TIMEOUT',
  'CONNECTION_LOST',
  'REQUEST_ABORTED',
  'SERVER_ERROR',
  'STATE_DIRECTORY_FULL',
  'RESOURCES_EXHAUSTED',
  'RESPONSE_INVALID',
  'INTERNAL',
  'SERVER_EXITED',
]);

/** After these the task may be tried on a fresh session: the cause lies in the server or the connection, not in the task. */
const passing: ReadonlySet<ErrorCode> = new Set(['REQUEST_TIMEOUT', 'CONNECTION_LOST', 'SERVER_ERROR', 'SESSION_ACTOR_FAILED']);

/** Whether the server certainly did not take the turn. */
export function wasRefused(error: unknown): boolean {
  return error instanceof OpencodeManagerError && !unknownOutcome.has(error.code);
}

/** Whether another try may help. */
function isPassing(error: unknown): boolean {
  return error instanceof OpencodeManagerError && passing.has(error.code);
}
