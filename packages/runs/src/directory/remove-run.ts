import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isManagerError, type OpencodeManagerError } from '@opencode-manager/core/errors';
import { removeTree } from '@opencode-manager/workspaces';
import { tryLock } from '@opencode-manager/workspaces/keep';
import { failure, isErrno, unlessMissing } from '../errors.ts';
import type { RunEnded } from '../journal/events.ts';
import { JournalReader } from '../read/journal-reader.ts';
import { countStates, type StateCounts } from '../read/task-state.ts';
import { runLayout } from './layout.ts';
import { runsOf } from './place.ts';
import { readRunFile, type RunFile } from './run-file.ts';
import { runHolder, type RunHolder } from './run-lock.ts';

/** What there is of a run, for those who want to remove it. */
export interface RunRemains {
  readonly path: string;
  readonly name: string;
  /** What its refs and workspaces are called by: the name that it has beside its repository, and that of `run.json` elsewhere. A copy has another. */
  readonly id: string;
  /** Undefined when it cannot be read, or was never written. */
  readonly run: RunFile | undefined;
  /**
   * `held`: a process has it. `finished`: every task has its final outcome. `not_begun`: its server never started. `unfinished`: it can be resumed,
   * or cannot be read, so that nobody can say that it is finished.
   */
  readonly state: 'held' | 'finished' | 'unfinished' | 'not_begun';
  readonly holder: RunHolder | 'unknown' | undefined;
  /** Why the newest manager let go of it; null when it died, or has it. */
  readonly endedBecause: RunEnded['reason'] | null;
  /** Undefined when it cannot be read. */
  readonly counts: StateCounts | undefined;
  /** `RUN_UNREADABLE` */
  readonly error: OpencodeManagerError | undefined;
}

/** What there is of all runs of the repository that a directory lies in, by their names. @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID` */
export async function runsRemaining(directory: string): Promise<RunRemains[]> {
  const parent = await runsOf(directory);
  const names = (await readdir(parent).catch(unlessMissing)) ?? [];
  const found = await Promise.all(names.toSorted().map((name) => runRemains(join(parent, name))));
  return found.filter((run) => run !== undefined);
}

/** What there is of one run; undefined for a directory that is none. */
export async function runRemains(path: string): Promise<RunRemains | undefined> {
  const { runFile, journal } = runLayout(path);
  const names = (await readdir(path).catch(() => undefined)) ?? [];
  if (!names.includes(basename(runFile)) && !names.includes(basename(journal))) return undefined;
  const holder = await runHolder(path);
  const name = basename(path);
  const of = { path, name, id: name, holder };
  try {
    using reader = new JournalReader(journal);
    const { endedBecause, tasks, lastSequence } = reader.history();
    const begun = lastSequence > 0 || names.includes(basename(runFile));
    const run = begun ? await readRunFile(runFile) : undefined;
    const state = begun ? (endedBecause === 'done' ? 'finished' : 'unfinished') : 'not_begun';
    const id = dirname(path).endsWith('.ocm') ? name : (run?.id ?? name);
    return { ...of, id, run, state: holder ? 'held' : state, endedBecause, counts: countStates(tasks, false), error: undefined };
  } catch (error) {
    if (!isManagerError(error)) throw error;
    return { ...of, run: undefined, state: holder ? 'held' : 'unfinished', endedBecause: null, counts: undefined, error };
  }
}

/**
 * Removes the directory of a run as a whole, while nobody can take the run up. A crash leaves all of it in its place, or nothing.
 * @param isUnfinished Also one that is not finished: it cannot be resumed afterwards
 * @param removeRest Removes what the run has elsewhere. The directory stays when it gives false
 * @throws `RUN_LOCKED` when a process has it, or has gone on with it since it was looked at
 */
export async function removeRun(path: string, isUnfinished: boolean, removeRest: () => Promise<boolean>): Promise<boolean> {
  const lock = tryLock(runLayout(path).lock);
  if (!lock) throw taken(path);
  try {
    // Its journal is read while nobody can write it.
    if (!isUnfinished && !(await isOver(path))) throw taken(path);
    if (!(await removeRest())) return false;
    const trash = await trashOf(path);
    await rename(path, trash);
    await removeTree(trash);
    return true;
  } finally {
    lock.release();
    await removeIfEmpty(dirname(path));
  }
}

/** Removes what a crash left of runs that were removed. */
export async function emptyTrash(directory: string): Promise<void> {
  const parent = await runsOf(directory);
  await removeTree(join(parent, trashName));
  await removeIfEmpty(parent);
}

async function isOver(path: string): Promise<boolean> {
  const { journal } = runLayout(path);
  using reader = new JournalReader(journal);
  const event = reader.newest(1)[0]?.event;
  return event === undefined || (event.type === 'run.ended' && event.reason === 'done');
}

const trashName = '.trash';

/** Where no run is looked for, on the same file system. */
async function trashOf(path: string): Promise<string> {
  if (!dirname(path).endsWith('.ocm')) return `${path}.removing`;
  const trash = join(dirname(path), trashName);
  await mkdir(trash, { recursive: true, mode: 0o700 });
  return join(trash, basename(path));
}

/** The directory beside a repository goes with its last run. */
async function removeIfEmpty(parent: string): Promise<void> {
  if (!parent.endsWith('.ocm')) return;
  for (const path of [join(parent, trashName), parent])
    await rmdir(path).catch((error: unknown) => {
      if (!isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY', 'EACCES', 'EPERM')) throw error;
    });
}

function taken(path: string): OpencodeManagerError {
  return failure('RUN_LOCKED', `${path}: another process has this run, or went on with it. Nothing of it was removed.`, { path });
}
