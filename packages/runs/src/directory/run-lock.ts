import { readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { processOrigin, processStartTime } from '@opencode-manager/core/process';
import { tryLock, type FileLock } from '@opencode-manager/workspaces/keep';
import * as z from 'zod';
import { failure, unreadable, wordsOf } from '../errors.ts';
import { runLayout } from './layout.ts';
import { replaceFile } from './replace-file.ts';

const holderSchema = z.object({
  pid: z.int(),
  /** As the system counts it; with the pid it names a process for ever. */
  start_time: z.string().nullable(),
  boot_id: z.string().nullable(),
  pid_namespace: z.string().nullable(),
  host: z.string(),
  /** ISO 8601. */
  since: z.string(),
});

/** Who has a run, or had it last. */
export type RunHolder = z.output<typeof holderSchema>;

export interface RunLock {
  release(): Promise<void>;
}

/** Somebody who only looks whether a run is held has its lock for an instant. */
const attempts = 8;
const betweenAttemptsMs = 25;

/**
 * Makes this process the only one that has a run. The lock is the kernel's: it goes with its holder, however that ends, so that a stale one
 * cannot be. The note beside it is for messages, with one exception: a run whose last holder was on another machine, and did not let go of
 * it, is taken only with `takeOver` (somebody may have copied the directory while that one goes on).
 * @throws `RUN_LOCKED` naming the holder
 */
export async function lockRun(path: string, takeOver = false): Promise<RunLock> {
  const { lockNote } = runLayout(path);
  const lock = await takeLock(path);
  try {
    const before = await readNote(lockNote);
    const own = await ownNote();
    if (before && !takeOver && isOfOtherMachine(before, own)) throw heldElsewhere(path, before);
    await replaceFile(lockNote, [`${JSON.stringify(own)}\n`]);
  } catch (error) {
    lock.release();
    throw error;
  }
  let isReleased = false;
  return {
    async release() {
      if (isReleased) return;
      isReleased = true;
      await rm(lockNote, { force: true }).catch(() => undefined);
      lock.release();
    },
  };
}

async function takeLock(path: string): Promise<FileLock> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const lock = lockOf(path);
    if (lock) return lock;
    await sleep(betweenAttemptsMs);
  }
  const holder = await readNote(runLayout(path).lockNote);
  const message = `${path}: ${describeHolder(holder)} has this run. Wait for it or stop it, or use another run.`;
  throw failure('RUN_LOCKED', message, { path, ...(holder && { holder }) });
}

function lockOf(path: string): FileLock | undefined {
  const { lock } = runLayout(path);
  try {
    return tryLock(lock);
  } catch (error) {
    throw unreadable(lock, `cannot be locked: ${wordsOf(error)}`, error);
  }
}

/** Who has a run now: undefined when nobody has it, `unknown` when the note of its holder is missing. */
export async function runHolder(path: string): Promise<RunHolder | 'unknown' | undefined> {
  const { lock, lockNote } = runLayout(path);
  // To look at a lock makes its file.
  if (!(await stat(lock).catch(() => undefined))?.isFile()) return undefined;
  const taken = lockOf(path);
  taken?.release();
  return taken ? undefined : ((await readNote(lockNote)) ?? 'unknown');
}

async function ownNote(): Promise<RunHolder> {
  const origin = await processOrigin();
  return {
    pid: process.pid,
    start_time: (await processStartTime(process.pid)) ?? null,
    boot_id: origin?.bootId ?? null,
    pid_namespace: origin?.pidNamespace ?? null,
    host: hostname(),
    since: new Date().toISOString(),
  };
}

/** A container that was started again has another name and the same boot; a machine that was started again has the same name. */
function isOfOtherMachine(before: RunHolder, own: RunHolder): boolean {
  return before.host !== own.host && (before.boot_id === null || before.boot_id !== own.boot_id);
}

async function readNote(path: string): Promise<RunHolder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

function describeHolder(holder: RunHolder | undefined): string {
  return holder ? `process ${holder.pid} on ${holder.host} (since ${holder.since})` : 'another process';
}

function heldElsewhere(path: string, holder: RunHolder) {
  const message =
    `${path}: ${describeHolder(holder)} had this run last and did not let go of it, and this is ${hostname()}. ` +
    'If that process is gone for certain, resume with --take-over.';
  return failure('RUN_LOCKED', message, { path, holder });
}
