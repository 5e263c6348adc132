import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OpencodeManagerError } from '../errors/index.ts';
import { showLife, type LifePlace } from '../process/life.ts';
import { describeForeign, processOrigin, standingOf, type RecordedProcess } from '../process/origin.ts';
import { processStartTime, runMark, sweepProcesses } from '../process/table.ts';

interface LockRecord extends RecordedProcess {
  readonly runId: string;
}

export interface StateLock {
  /** Takes the lock again when it went with a deleted state directory. @throws `STATE_DIRECTORY_LOCKED` when another was faster */
  retake(): Promise<void>;
  /** Removes the lock if it is still ours. */
  release(): Promise<void>;
}

/** Deadline for the end of what a dead manager left running, in milliseconds. */
const takeoverSweepMs = 3000;

/**
 * Makes this process the only manager of a state directory. opencode itself takes no lock: two servers on one database
 * would run the same session twice. The lock of a manager that is gone is taken over, and what it left running is ended. One of another
 * container or machine counts as held unless its manager is certainly gone.
 * @throws `STATE_DIRECTORY_LOCKED`
 */
export async function lockStateDirectory(lockFile: string, runId: string): Promise<StateLock> {
  const startTime = (await processStartTime(process.pid)) ?? '';
  const own: LockRecord = { pid: process.pid, startTime, runId, origin: await processOrigin() };
  await take(lockFile, own);
  let life = await showLife(lifeOf(lockFile));
  return {
    async release() {
      await life?.close();
      life = undefined;
      await releaseLock(lockFile, runId);
    },
    async retake() {
      if ((await holderOf(lockFile)) === runId) return;
      await take(lockFile, own);
      await life?.close();
      life = await showLife(lifeOf(lockFile));
    },
  };
}

function lifeOf(lockFile: string): LifePlace {
  return { directory: dirname(lockFile), name: 'manager.alive' };
}

async function take(lockFile: string, own: LockRecord): Promise<void> {
  const draft = `${lockFile}.${randomUUID()}`;
  try {
    await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
    for (let attempt = 0; attempt < 5; attempt += 1) {
      // link() fails when the name exists, and the name never shows a file that is only half written.
      if (await succeeds(link(draft, lockFile))) return;
      await removeStaleLock(lockFile);
    }
    throw locked(lockFile, 'another manager');
  } finally {
    await rm(draft, { force: true });
  }
}

async function removeStaleLock(lockFile: string): Promise<void> {
  const holder = await readLock(lockFile);
  if (holder) await refuseUnlessGone(lockFile, holder);
  const aside = `${lockFile}.stale-${randomUUID()}`;
  // Only one of several managers that come at once gets to move it.
  if (!(await succeeds(rename(lockFile, aside)))) return;
  const moved = await readLock(aside);
  if (moved && moved.runId !== holder?.runId) {
    await succeeds(link(aside, lockFile));
  } else if (moved) {
    await sweepProcesses(runMark(moved.runId), takeoverSweepMs);
  }
  await rm(aside, { force: true });
}

/** @throws `STATE_DIRECTORY_LOCKED` */
async function refuseUnlessGone(lockFile: string, holder: LockRecord): Promise<void> {
  const standing = await standingOf(holder, lifeOf(lockFile));
  if (standing === 'gone') return;
  if (standing === 'alive') throw locked(lockFile, `process ${holder.pid}`, holder);
  throw locked(lockFile, describeForeign(holder), holder, ' If that one is gone for certain, delete the file.');
}

/** Undefined when there is none, or one that nobody has written. What merely cannot be read must not be taken for stale. */
async function readLock(path: string): Promise<LockRecord | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    return '';
  });
  try {
    return JSON.parse(text) as LockRecord;
  } catch {
    return undefined;
  }
}

/** The run that holds a state directory, or held it last; undefined when nobody does. */
export async function holderOf(lockFile: string): Promise<string | undefined> {
  return (await readLock(lockFile))?.runId;
}

async function releaseLock(lockFile: string, runId: string): Promise<void> {
  if ((await holderOf(lockFile)) === runId) await rm(lockFile, { force: true });
}

function locked(lockFile: string, who: string, holder?: LockRecord, more = ''): OpencodeManagerError {
  return new OpencodeManagerError(
    'STATE_DIRECTORY_LOCKED',
    `stateDir: ${lockFile} is held by ${who}. Stop that manager, or use another state directory.${more}`,
    { details: { lockFile, ...(holder && { pid: holder.pid, origin: holder.origin }) } },
  );
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
