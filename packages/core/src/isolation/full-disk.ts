import { statfs } from 'node:fs/promises';
import { isManagerError, OpencodeManagerError } from '../errors/index.ts';

/** All that opencode says when its database cannot be written. */
const databaseFailure = 'Failed to execute statement';

/** With less than this free, in bytes, the server's database does not go on. */
const leastFreeBytes = 1024 * 1024;

/**
 * `STATE_DIRECTORY_FULL` in place of a failure that a full file system explains; any other failure as it was. opencode says no
 * more than `Failed to execute statement` then, in answers, in its output and in the error of a turn.
 */
export async function explainFullDisk(error: unknown, stateDir: string): Promise<unknown> {
  if (!mayComeOfFullDisk(error)) return error;
  const room = await statfs(stateDir).catch(() => undefined);
  const freeBytes = room ? room.bavail * room.bsize : Infinity;
  if (freeBytes >= leastFreeBytes) return error;
  return new OpencodeManagerError(
    'STATE_DIRECTORY_FULL',
    `stateDir: the file system of ${stateDir} is full (${freeBytes} bytes free): ${(error as Error).message}`,
    { details: { stateDir, freeBytes }, cause: error, ...(error instanceof OpencodeManagerError && { output: error.output ?? '' }) },
  );
}

function mayComeOfFullDisk(error: unknown): boolean {
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOSPC') return true;
  if (isManagerError(error, 'SERVER_ERROR') || isManagerError(error, 'SERVER_START_FAILED')) return true;
  return error instanceof Error && error.message.includes(databaseFailure);
}
