import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { OpencodeManagerError } from '../errors/index.ts';
import { isSameProcess, processStartTime, runMark, sweepProcesses } from '../process/table.ts';

interface LockRecord {
  readonly pid: number;
  readonly startTime: string;
  readonly runId: string;
}

export interface StateLock {
  /** Takes the lock again when it went with a deleted state directory. @throws `STATE_DIRECTORY_LOCKED` when another was faster */
  retake(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Makes this process the only manager of a state directory. opencode itself takes no lock: two servers on one database
 * would run the same session twice. The lock of a manager that is gone is taken over, and what it left running is ended.
 * @throws `STATE_DIRECTORY_LOCKED`
 */
export async function lockStateDirectory(lockFile: string, runId: string): Promise<StateLock> {
  const own: LockRecord = { pid: process.pid, startTime: (await processStartTime(process.pid)) ?? '', runId };
  await take(lockFile, own);
  return {
    release: () => releaseLock(lockFile, runId),
    async retake() {
      if ((await readLock(lockFile))?.runId !== runId) await take(lockFile, own);
    },
  };
}

async function take(lockFile: string, own: LockRecord): Promise<void> {
  const draft = `${lockFile}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(own), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      // link() fails when the name exists, and the name never shows a file that is only half written.
      if (await succeeds(link(draft, lockFile))) return;
      await removeStaleLock(lockFile);
    }
    throw locked(lockFile, undefined);
  } finally {
    await rm(draft, { force: true });
  }
}

async function removeStaleLock(lockFile: string): Promise<void> {
  const holder = await readLock(lockFile);
  if (holder && (await isSameProcess(holder.pid, holder.startTime))) throw locked(lockFile, holder);
  const aside = `${lockFile}.stale-${randomUUID()}`;
  // Only one of several managers that come at once gets to move it.
  if (!(await succeeds(rename(lockFile, aside)))) return;
  const moved = await readLock(aside);
  if (moved && moved.runId !== holder?.runId) {
    await succeeds(link(aside, lockFile));
  } else if (moved) {
    await sweepProcesses(runMark(moved.runId), 3000);
  }
  await rm(aside, { force: true });
}

async function readLock(path: string): Promise<LockRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockRecord;
  } catch {
    return undefined;
  }
}

async function releaseLock(lockFile: string, runId: string): Promise<void> {
  if ((await readLock(lockFile))?.runId === runId) await rm(lockFile, { force: true });
}

function locked(lockFile: string, holder: LockRecord | undefined): OpencodeManagerError {
  const who = holder ? `process ${holder.pid}` : 'another manager';
  return new OpencodeManagerError(
    'STATE_DIRECTORY_LOCKED',
    `stateDir: ${lockFile} is held by ${who}. Stop that manager, or use another state directory.`,
    {
      details: { lockFile, ...(holder && { pid: holder.pid }) },
    },
  );
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
