import { chmod, readdir, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeRoot, newRunId, runsBeside } from '@opencode-manager/workspaces/keep';
import { outermostTop } from '@opencode-manager/workspaces';
import { failure, isErrno, storageFull } from '../errors.ts';
import { refuseNetwork } from './file-system.ts';
import { runLayout } from './layout.ts';

export interface RunPlace {
  readonly id: string;
  /** Real path of the directory of the run; mode 0700. */
  readonly path: string;
}

/** Where the user wants the directory of a run. */
export interface PlaceWish {
  /** The directory itself: missing or empty. */
  readonly runDir?: string | undefined;
  /** The directory in which that of the run is made. */
  readonly runsIn?: string | undefined;
}

/** The directory in which the runs of a repository lie, from any directory in it. @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID` */
export async function runsOf(directory: string): Promise<string> {
  return runsBeside(await outermostTop(directory));
}

/**
 * Makes the directory of a new run: `<top level>.ocm/<utc time>-<slug>-<4 hex>` beside the outermost repository, or the one that is named.
 * Never inside a repository: an agent's `git clean` would empty it.
 * @throws `RUN_DIRECTORY_UNSAFE`, `RUN_EXISTS`, `RUN_STORAGE_FULL`, `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`
 */
export async function makePlace(directory: string, title: string, { runDir, runsIn }: PlaceWish): Promise<RunPlace> {
  const top = await outermostTop(directory);
  const id = newRunId(title);
  const named = runDir ?? (runsIn === undefined ? undefined : join(runsIn, id));
  const path = await makeRoot({ named, run: id, top, unsafe });
  try {
    await refuseNetwork(path);
    await refuseFilled(path);
    await chmod(path, 0o700);
    return { id, path };
  } catch (error) {
    await removePlace(path);
    throw error;
  }
}

/** Removes the directory of a run that did not begin, if nothing is in it. */
export async function removePlace(path: string): Promise<void> {
  const removed = await rmdir(path).then(
    () => true,
    () => false,
  );
  if (removed && dirname(path).endsWith('.ocm')) await rmdir(dirname(path)).catch(() => undefined);
}

/** @throws `RUN_EXISTS`, `RUN_DIRECTORY_UNSAFE` */
async function refuseFilled(path: string): Promise<void> {
  const names = await readdir(path);
  const { runFile, journal } = runLayout('');
  if (names.includes(basename(runFile)) || names.includes(basename(journal))) {
    const message = `--run-dir: ${path} holds a run already. Go on with it (ocm resume), or name another directory.`;
    throw failure('RUN_EXISTS', message, { path });
  }
  if (names.length > 0) throw unsafe(path, `it holds something already (${names.toSorted().slice(0, 3).join(', ')})`);
}

function unsafe(path: string, why: string, cause?: unknown) {
  if (isErrno(cause, 'ENOSPC', 'EDQUOT')) return storageFull(path, cause);
  const message = `${path} cannot hold a run: ${why}. Name another directory with --run-dir DIR.`;
  return failure('RUN_DIRECTORY_UNSAFE', message, { path }, cause);
}
