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

/** Whether the server certainly did not take the turn. */
export function wasRefused(error: unknown): boolean {
  return error instanceof OpencodeManagerError && !unknownOutcome.has(error.code);
}
