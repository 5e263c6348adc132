import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isManagerError, type OpencodeManagerError } from '@opencode-manager/core/errors';
import { unlessMissing } from '../errors.ts';
import type { JournalRow } from '../journal/events.ts';
import { JournalReader } from '../read/journal-reader.ts';
import { runLayout } from './layout.ts';
import { runsOf } from './place.ts';
import { readRunFile, type RunFile } from './run-file.ts';
import { runHolder, type RunHolder } from './run-lock.ts';

/** A run that lies beside its repository. */
export interface FoundRun {
  /** Absolute path of its directory. */
  readonly path: string;
  readonly name: string;
  /** Undefined when it cannot be read; then `error` says why. */
  readonly run: RunFile | undefined;
  /** `RUN_UNREADABLE` */
  readonly error: OpencodeManagerError | undefined;
}

export interface UnfinishedRun extends FoundRun {
  /** The process that has it now; undefined when it can be resumed. */
  readonly holder: RunHolder | 'unknown' | undefined;
}

/**
 * All runs of the repository that a directory lies in, the newest first. Runs in directories that were named (`--run-dir`) are not among
 * them. Nothing is changed.
 * @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`
 */
export async function findRuns(directory: string): Promise<FoundRun[]> {
  const parent = await runsOf(directory);
  const names = (await readdir(parent).catch(unlessMissing)) ?? [];
  const found = await Promise.all(names.map((name) => lookAt(join(parent, name), name)));
  return found.filter((run) => run !== undefined).toSorted((one, other) => (timeOf(one) < timeOf(other) ? 1 : -1));
}

/**
 * The newest run whose journal does not say that all its tasks are done; undefined when there is none. One that cannot be read is given
 * too, with its error: nobody can say that it is finished.
 * @throws as {@link findRuns}
 */
export async function newestUnfinished(directory: string): Promise<UnfinishedRun | undefined> {
  for (const found of await findRuns(directory)) {
    const unfinished = ifUnfinished(found);
    if (unfinished) return { ...unfinished, holder: await runHolder(found.path) };
  }
  return undefined;
}

function ifUnfinished(found: FoundRun): FoundRun | undefined {
  if (found.error) return found;
  try {
    const event = newestRow(runLayout(found.path).journal)?.event;
    return event?.type === 'run.ended' && event.reason === 'done' ? undefined : found;
  } catch (error) {
    if (isManagerError(error)) return { ...found, error };
    throw error;
  }
}

/** Undefined for what is no run: templates and workspaces lie there too, and directories of runs that ended before they began. */
async function lookAt(path: string, name: string): Promise<FoundRun | undefined> {
  const { runFile, journal } = runLayout(path);
  const isWritten = await isFile(runFile);
  if (!isWritten && !((await isFile(journal)) && hasBegun(journal))) return undefined;
  try {
    return { path, name, run: await readRunFile(runFile), error: undefined };
  } catch (error) {
    if (!isManagerError(error)) throw error;
    return { path, name, run: undefined, error };
  }
}

function newestRow(journal: string): JournalRow | undefined {
  using reader = new JournalReader(journal);
  return reader.newest(1)[0];
}

/** Without `run.json` and without a row it ended while its directory was made: nothing was done. */
function hasBegun(journal: string): boolean {
  try {
    return newestRow(journal) !== undefined;
  } catch {
    return true;
  }
}

/** When a run began, in a form that sorts; of one that cannot be read as its name says, to the second. */
function timeOf({ name, run }: FoundRun): string {
  if (run) return run.created_at;
  return name.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*/, '$1-$2-$3T$4:$5:$6.000Z');
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
