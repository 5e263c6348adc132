import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { BatchRequest } from './request.ts';
import { findRuns, newestUnfinished, readRunFile, runLayout, type FoundRun, type RunFile } from '@opencode-manager/runs';

export interface NamedRun {
  /** Absolute path of its directory. */
  readonly path: string;
  readonly run: RunFile;
}

/**
 * The run that a name means: its id, a part of it that no other run has, or the path of its directory. Without a name the newest that is not
 * finished.
 * @throws OpencodeManagerError `USAGE` when there is none, or several; `RUN_UNREADABLE`
 */
export async function unfinishedRun(name: string | undefined, directory: string): Promise<NamedRun> {
  if (name === undefined) {
    const newest = await newestUnfinished(directory);
    if (newest) return readable(newest);
    throw new OpencodeManagerError('USAGE', `No run of ${directory} is unfinished. To see all: ocm runs. To begin one: ocm run FILE.`);
  }
  if (name.includes('/') || name === '.' || name === '..' || (await isRun(name))) {
    const path = resolve(name);
    return { path, run: await readRunFile(runLayout(path).runFile) };
  }
  const all = await findRuns(directory);
  const exact = all.find((one) => one.name === name || one.run?.id === name);
  const found = exact ? [exact] : all.filter((one) => one.name.includes(name));
  if (found.length === 1) return readable(found[0]!);
  const what =
    found.length === 0
      ? 'is no run'
      : `is a part of ${found.length} runs (${found
          .slice(0, 5)
          .map((one) => one.name)
          .join(', ')})`;
  throw new OpencodeManagerError(
    'USAGE',
    `${name} ${what} of ${directory}. To see all: ocm runs. Name one by its id, or by the path of its directory.`,
  );
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

async function isRun(name: string): Promise<boolean> {
  return (await stat(join(resolve(name), 'run.json')).catch(() => undefined)) !== undefined;
}
