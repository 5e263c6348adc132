import { resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import { findRuns, newestUnfinished, readRunFile, runLayout, type FoundRun, type RunFile } from '@opencode-manager/runs';
import { locateRun } from '@opencode-manager/runs/look';
import type { BatchRequest } from './request.ts';

export interface NamedRun {
  /** Absolute path of its directory. */
  readonly path: string;
  readonly run: RunFile;
}

/**
 * The run that a name means: its id, a part of it that no other run has, or the path of its directory. Without a name the newest that is not
 * finished, else the newest; or, where tasks are to run again, the newest.
 * @throws OpencodeManagerError `USAGE` when none is unfinished; `RUN_UNKNOWN`, `RUN_UNREADABLE`
 */
export async function runToResume(name: string | undefined, directory: string, repeats: boolean): Promise<NamedRun> {
  if (name === undefined && !repeats) {
    const newest = await newestUnfinished(directory);
    if (newest) return readable(newest);
    // One that is done has nothing to do, and says so.
    const [last] = await findRuns(directory);
    if (last) return readable(last);
    throw new OpencodeManagerError('USAGE', `There is no run of ${directory}. To begin one: ocm run FILE.`);
  }
  const path = await locateRun(directory, name);
  return { path, run: await readRunFile(runLayout(path).runFile) };
}

/** The newest run of a file of tasks. @throws OpencodeManagerError `USAGE` */
export async function runOfFile({ file }: Pick<BatchRequest, 'file'>, directory: string): Promise<NamedRun> {
  if (file === undefined || file === '-')
    throw new OpencodeManagerError('USAGE', '--resume looks for the run of a task file; name the file, or use: ocm resume RUN');
  const found = (await findRuns(directory)).find(({ run }) => run?.source === resolve(file));
  if (found) return readable(found);
  throw new OpencodeManagerError('USAGE', `--resume: there is no run of ${file} beside ${directory}. Leave --resume out to begin one.`);
}

function readable({ path, run, error }: FoundRun): NamedRun {
  if (run) return { path, run };
  throw error ?? new OpencodeManagerError('RUN_UNREADABLE', `${path} cannot be read.`);
}
