import { statfs } from 'node:fs/promises';
import { databaseFailure, exhaustionOf, isManagerError, OpencodeManagerError, systemFaultOf } from '../errors/index.ts';

/** With less than this free, in bytes, the server's database does not go on. */
const leastFreeBytes = 1024 * 1024;

/** Said by the system itself. */
const noRoom: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT']);

/**
 * `STATE_DIRECTORY_FULL` or `RESOURCES_EXHAUSTED` in place of a failure that a fault of the machine explains; any other failure as it
 * was. opencode says no more than `Failed to execute statement` on a full file system, in answers, in its output and in the error of a turn.
 */
export async function explainFullDisk(error: unknown, stateDir: string): Promise<unknown> {
  if (isManagerError(error, 'STATE_DIRECTORY_FULL') || isManagerError(error, 'RESOURCES_EXHAUSTED')) return error;
  const said = noRoom.has(systemFaultOf(error));
  if (!said && !mayComeOfFullDisk(error)) return exhaustionOf(error) ?? error;
  const room = await statfs(stateDir).catch(() => undefined);
  const freeBytes = room ? room.bavail * room.bsize : undefined;
  // Some file systems count no files.
  const noFiles = room !== undefined && room.files > 0 && room.ffree === 0;
  if (!said && !noFiles && (freeBytes ?? Infinity) >= leastFreeBytes) return exhaustionOf(error) ?? error;
  const free = freeBytes === undefined ? '' : ` (${freeBytes} bytes${noFiles ? ', no file' : ''} free)`;
  return new OpencodeManagerError(
    'STATE_DIRECTORY_FULL',
    `stateDir: the file system of ${stateDir} is full${free}: ${(error as Error).message}`,
    { details: { stateDir, freeBytes }, cause: error, ...(error instanceof OpencodeManagerError && { output: error.output ?? '' }) },
  );
}

function mayComeOfFullDisk(error: unknown): boolean {
  if (isManagerError(error, 'SERVER_ERROR') || isManagerError(error, 'SERVER_START_FAILED')) return true;
  // opencode 1 may end a turn there without a word.
  if (isManagerError(error, 'TURN_INTERRUPTED')) return true;
  return error instanceof Error && error.message.includes(databaseFailure);
}
