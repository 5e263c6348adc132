import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OpencodeManagerError } from '../errors/index.ts';
import { showLife, type LifePlace } from '../process/life.ts';
import { describeForeign, processOrigin, standingOf, type RecordedProcess } from '../process/origin.ts';
import { processStartTime } from '../process/start-time.ts';
import { runMark, sweepProcesses } from '../process/table.ts';

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
  const place = lockLife(lockFile, runId);
  // First: a lock whose manager shows no life yet would be taken for a dead one's.
  let life = await showLife(place);
  const hide = async () => {
    await life?.close();
    life = undefined;
  };
  const takeOrHide = () =>
    take(lockFile, own).catch(async (error: unknown) => {
      await hide();
      throw error;
    });
  await takeOrHide();
  return {
    async release() {
      await hide();
      await releaseLock(lockFile, runId);
    },
    async retake() {
      if ((await holderOf(lockFile)) === runId) return;
      await hide();
      life = await showLife(place);
      await takeOrHide();
    },
  };
}

/** Where the manager of a run shows that it lives, for whoever sees its lock. */
export function lockLife(lockFile: string, runId: string): LifePlace {
  return { directory: dirname(lockFile), name: `manager.${runId}.alive` };
}

async function take(lockFile: string, own: LockRecord): Promise<void> {
  const draft = `${lockFile}.${randomUUID()}`;
  try {
    await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
    for (let attempt = 0; attempt < 5; attempt += 1) {
      // link() fails when the name exists, and the name never shows a file that is only half written.
      if (await succeeds(link(draft, lockFile))) return;
      if (await replaceStaleLock(lockFile, draft)) return;
    }
    throw locked(lockFile, 'another manager');
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Puts the draft in the place of the lock of a dead manager. Only who holds the claim to that manager's succession may, and only while its lock
 * still stands: of several that come at once one gets the directory, and the lock is never away meanwhile.
 */
async function replaceStaleLock(lockFile: string, draft: string): Promise<boolean> {
  const dead = await readLock(lockFile);
  if (dead) await refuseUnlessGone(lockFile, dead);
  const claim = `${lockFile}.after-${dead?.runId ?? 'nobody'}`;
  if (!(await succeeds(link(draft, claim)))) {
    const claimant = await readLock(claim);
    if (claimant) await refuseUnlessGone(lockFile, claimant);
    await rm(claim, { force: true });
    return false;
  }
  try {
    if ((await holderOf(lockFile)) !== dead?.runId) return false;
    if (dead) await endDeadRun(lockFile, dead.runId);
    await rename(draft, lockFile);
    return true;
  } finally {
    await rm(claim, { force: true });
  }
}

async function endDeadRun(lockFile: string, runId: string): Promise<void> {
  await sweepProcesses(runMark(runId), takeoverSweepMs);
  const { directory, name } = lockLife(lockFile, runId);
  await rm(join(directory, name), { force: true });
}

/** @throws `STATE_DIRECTORY_LOCKED` */
async function refuseUnlessGone(lockFile: string, holder: LockRecord): Promise<void> {
  const standing = await standingOf(holder, lockLife(lockFile, holder.runId));
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
