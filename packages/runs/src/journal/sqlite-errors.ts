import { randomUUID } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isManagerError } from '@opencode-manager/core/errors';
import { failure, gone, isErrno, storageFull, unreadable, wordsOf } from '../errors.ts';

/** Result codes of SQLite. The lowest byte of an extended code is its primary one. */
const sqlite = { busy: 5, readOnly: 8, io: 10, corrupt: 11, full: 13, cannotOpen: 14, constraint: 19, notADatabase: 26 } as const;

/**
 * What a failure of SQLite means for a run. Errors of ours pass as they are.
 * @param isWriter Whether it is tried, by a file in its directory, if there is room; not for those who only look
 */
export function explainSqlite(error: unknown, path: string, isWriter = true): unknown {
  if (isManagerError(error)) return error;
  const extended = (error as { errcode?: unknown } | undefined)?.errcode;
  if (typeof extended !== 'number') return error;
  const code = extended & 0xff;
  if (code === sqlite.full) return storageFull(path, error);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return gone(path);
  // SQLite tells a quota, and room that lacks for its shared memory, as any failure of the device.
  if (isWriter && (code === sqlite.io || code === sqlite.cannotOpen)) {
    const noRoom = lackOfRoom(dirname(path));
    if (noRoom !== undefined) return storageFull(path, noRoom);
  }
  if (code === sqlite.corrupt || code === sqlite.notADatabase) return unreadable(path, `is damaged: ${wordsOf(error)}`, error);
  if (code === sqlite.constraint || code === sqlite.busy) return writtenByAnother(path, error);
  return unreadable(path, `cannot be used: ${wordsOf(error)}`, error);
}

/** Its numbers are taken by somebody else: a writer came beside this one. */
function writtenByAnother(path: string, cause: unknown) {
  return failure('RUN_LOCKED', `${path}: another process writes this journal. Stop it; one process has a run.`, { path }, cause);
}

/** The error of the system when a directory takes no more than a few kilobytes. */
function lackOfRoom(directory: string): unknown {
  const probe = join(directory, `.room-${randomUUID()}`);
  try {
    writeFileSync(probe, Buffer.alloc(65_536), { flag: 'wx' });
    return undefined;
  } catch (error) {
    return isErrno(error, 'ENOSPC', 'EDQUOT') ? error : undefined;
  } finally {
    rmSync(probe, { force: true });
  }
}
