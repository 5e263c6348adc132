import { OpencodeManagerError, type ErrorCode, type ErrorDetails } from '@opencode-manager/core/errors';

/** Short for the one error class. */
export function failure(code: ErrorCode, message: string, details?: ErrorDetails, cause?: unknown): OpencodeManagerError {
  return new OpencodeManagerError(code, message, { ...(details && { details }), ...(cause !== undefined && { cause }) });
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(String((error as NodeJS.ErrnoException | undefined)?.code));
}

/** Whether a disk, or a quota, had no room: for us, or for a git that we started. */
export function isFull(error: unknown): boolean {
  return [error, (error as Error | undefined)?.cause].some((one) => isErrno(one, 'ENOSPC', 'EDQUOT'));
}

/** For a disk without room the error that says where; every other one is as it was. */
export function namingRoom(error: unknown, code: ErrorCode, path: string): unknown {
  if (!isErrno(error, 'ENOSPC', 'EDQUOT')) return error;
  return failure(
    code,
    `There is no room in ${path}. Make room there, or name another directory with root (ocm run: --root).`,
    { path },
    error,
  );
}

/** For `catch`: undefined for these codes of the system; every other error goes on. */
export function unless(...codes: readonly string[]): (error: unknown) => undefined {
  return (error) => {
    if (!isErrno(error, ...codes)) throw error;
    return undefined;
  };
}
