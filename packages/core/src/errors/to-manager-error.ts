import { errorCatalogue } from './codes.ts';
import { describeThrown, OpencodeManagerError } from './error.ts';
import { exhaustionOf } from './infrastructure.ts';

/** Any thrown value as one of ours; unknown ones become `INTERNAL` with the original as cause. */
export function toManagerError(error: unknown): OpencodeManagerError {
  if (error instanceof OpencodeManagerError) return error;
  return exhaustionOf(error) ?? currentDirectoryGone(error) ?? internal(error);
}

/** What `process.cwd()` throws when somebody has removed the current directory under this process. */
export function currentDirectoryGone(error: unknown, option = 'directory'): OpencodeManagerError | undefined {
  if ((error as { syscall?: unknown } | undefined)?.syscall !== 'uv_cwd') return undefined;
  return new OpencodeManagerError(
    'DIRECTORY_MISSING',
    `${option}: the current directory does not exist any more. Change to one that does, or name an absolute path.`,
    { details: { option }, cause: error },
  );
}

function internal(error: unknown): OpencodeManagerError {
  return new OpencodeManagerError('INTERNAL', `${errorCatalogue.INTERNAL.meaning} (${describeThrown(error)})`, { cause: error });
}
