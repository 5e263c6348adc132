import { OpencodeManagerError, type ErrorCode, type ErrorDetails } from '@opencode-manager/core/errors';

/** Short for the one error class. */
export function failure(code: ErrorCode, message: string, details?: ErrorDetails, cause?: unknown): OpencodeManagerError {
  return new OpencodeManagerError(code, message, { ...(details && { details }), ...(cause !== undefined && { cause }) });
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(String((error as NodeJS.ErrnoException | undefined)?.code));
}

/** For `catch`: undefined when there is no such file; every other error goes on. */
export function unlessMissing(error: unknown): undefined {
  if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
  return undefined;
}

/** What went wrong, in the words of the system. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `RUN_UNREADABLE` naming a file and what is wrong with it. */
export function unreadable(path: string, why: string, cause?: unknown): OpencodeManagerError {
  const remedy = 'Put the file back as it was, or start a new run; nothing was started.';
  return failure('RUN_UNREADABLE', `${path} ${why}. ${remedy}`, { path }, cause);
}

/** `RUN_GONE` for a file that was removed or replaced under the run. */
export function gone(path: string): OpencodeManagerError {
  const message = `${path} was removed or replaced while this run used it. Look for what removes directories there; start a new run.`;
  return failure('RUN_GONE', message, { path });
}

/** `RUN_STORAGE_FULL` for a path without room. */
export function storageFull(path: string, cause: unknown): OpencodeManagerError {
  const message = `There is no room to write ${path} (${wordsOf(cause)}). Make room there, and resume the run.`;
  return failure('RUN_STORAGE_FULL', message, { path }, cause);
}

/** For a disk, or a quota, without room the error that says where; every other one is as it was. */
export function namingRoom(error: unknown, path: string): unknown {
  return isErrno(error, 'ENOSPC', 'EDQUOT') ? storageFull(path, error) : error;
}
