import type { ErrorCode, SerializedError } from '@opencode-manager/core/errors';

/** An error as plain JSON: machines hold no class instances. */
export function failure(code: ErrorCode, message: string, more: Pick<SerializedError, 'details' | 'cause'> = {}): SerializedError {
  return { name: 'OpencodeManagerError', code, message, ...more };
}
