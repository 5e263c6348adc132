import { accessSync, closeSync, constants, mkdirSync, openSync, readdirSync, rmdirSync, statSync, unlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { WorkspaceMode } from '@opencode-manager/workspaces';
import type { WorkspaceFlags } from '../flags.ts';
import type { NamedTask } from '../task-file/index.ts';
import { placeSettings, type PlaceSettings } from './flags.ts';

/** What the command line and the tasks want of workspaces. */
export interface WorkspacePlan {
  /** Of tasks that name none. */
  readonly mode: WorkspaceMode;
  /** What each repository or directory is asked for, before anything starts. */
  readonly wanted: readonly { readonly directory: string; readonly mode: WorkspaceMode }[];
  /** Where patches go; beside the repository when absent. */
  readonly patches?: PatchesDirectory | undefined;
  readonly settings?: PlaceSettings;
}

interface PatchesDirectory {
  readonly path: string;
  /** Takes it away again when this run made it and nothing is in it. */
  tidy(): void;
}

/**
 * Undefined when every task works in its directory itself.
 * @throws OpencodeManagerError `USAGE`, `OUTPUT_UNUSABLE`
 */
export function planWorkspaces(
  flags: WorkspaceFlags,
  tasks: readonly NamedTask[],
  directory: string,
  isResumed = false,
): WorkspacePlan | undefined {
  const { workspace = 'shared', patches } = flags;
  const mode = workspace as WorkspaceMode;
  const wanted = tasks
    .map((task) => ({ directory: task.directory ?? directory, mode: (task.workspace ?? mode) as WorkspaceMode }))
    .filter((one) => one.mode !== 'shared');
  const settings = placeSettings(flags, new Set(wanted.map((one) => one.mode)));
  if (wanted.length === 0) return undefined;
  return { mode, wanted, settings, patches: patches === undefined ? undefined : preparePatches(patches, isResumed) };
}

/** For a run of several turns at once: a directory itself in which more than one task works; undefined when there is none. */
export function sharedDirectory(
  { workspace = 'shared' }: WorkspaceFlags,
  tasks: readonly NamedTask[],
  directory: string,
): string | undefined {
  const seen = new Set<string>();
  for (const task of tasks) {
    if ((task.workspace ?? workspace) !== 'shared') continue;
    const place = resolve(task.directory ?? directory);
    if (seen.has(place)) return place;
    seen.add(place);
  }
  return undefined;
}

/** Makes the directory and tries it: a task whose patch has nowhere to go is not paid for. An earlier run's patches stay what they are. */
function preparePatches(name: string, isResumed: boolean): PatchesDirectory {
  const path = resolve(name);
  const isNew = lookAt(path) === undefined;
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.R_OK | constants.X_OK);
    if (!isResumed && readdirSync(path).length > 0)
      throw unusable(name, 'holds something already. Name another directory, or empty this one');
    tryWriting(join(path, '.ocm'));
  } catch (error) {
    if (error instanceof OpencodeManagerError) throw error;
    if (lookAt(path)?.isDirectory() === false) throw unusable(name, 'is no directory. Name another one');
    throw unusable(name, `cannot be written (${(error as NodeJS.ErrnoException).code}). Name another directory`, error);
  }
  return { path, tidy: () => void (isNew && removeEmpty(path)) };
}

function tryWriting(file: string): void {
  closeSync(openSync(file, 'wx'));
  unlinkSync(file);
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Something is in it.
  }
}

function lookAt(path: string) {
  return statSync(path, { throwIfNoEntry: false });
}

function unusable(name: string, why: string, cause?: unknown): OpencodeManagerError {
  return new OpencodeManagerError('OUTPUT_UNUSABLE', `--patches ${name} ${why}. Nothing was started.`, {
    details: { option: '--patches', path: name },
    ...(cause !== undefined && { cause }),
  });
}
