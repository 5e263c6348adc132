import { resolve } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { SetupCommand, WorkspaceCommand, WorkspaceMode, WorkspacesOptions } from '@opencode-manager/workspaces';
import type { WorkspaceFlags } from '../flags.ts';
import { parseDuration } from '../task-file/index.ts';

/** How the workspaces of a run are made, and which stay. */
export interface PlaceSettings extends Pick<WorkspacesOptions, 'setup' | 'ready' | 'include' | 'lfs' | 'limits'> {
  /** Where the directories of runs lie; beside each repository when absent. */
  readonly parent?: string;
  /** Those that stay although their results are safe. */
  readonly keep?: 'all' | 'failed';
}

/** Flags that mean something only with workspaces. */
const needWorkspaces = ['patches', 'root', 'setup', 'setupTimeout', 'ready', 'readyTimeout', 'include', 'lfs', 'yes', 'keep'] as const;

type Flag = (typeof needWorkspaces)[number];

const nameOf = (flag: Flag): string => `--${flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * What the flags say of workspaces, when there are any of these modes.
 * @throws OpencodeManagerError `USAGE` for what means nothing together
 */
export function placeSettings(flags: WorkspaceFlags, modes: ReadonlySet<WorkspaceMode>): PlaceSettings {
  refuseMeaningless(flags, modes);
  const { root, include, lfs, yes, keep } = flags;
  const setup: SetupCommand | undefined = commandOf(flags, 'setup', 'setupTimeout');
  const ready = commandOf(flags, 'ready', 'readyTimeout');
  return {
    ...(root !== undefined && { parent: resolve(root) }),
    ...(setup && { setup }),
    ...(ready && { ready }),
    ...(include && { include }),
    ...(lfs && { lfs }),
    ...(yes && { limits: { copyBytes: Number.POSITIVE_INFINITY } }),
    ...(keep !== undefined && { keep: keep === 'failed' ? 'failed' : 'all' }),
  };
}

function refuseMeaningless(flags: WorkspaceFlags, modes: ReadonlySet<WorkspaceMode>): void {
  const given = needWorkspaces.find((flag) => flags[flag] !== undefined);
  if (given !== undefined && modes.size === 0)
    throw usage(given, 'no task works in a workspace of its own. Add --workspace clone, or leave it out');
  if (flags.setupTimeout !== undefined && flags.setup === undefined) throw usage('setupTimeout', 'there is no --setup');
  if (flags.readyTimeout !== undefined && flags.ready === undefined) throw usage('readyTimeout', 'there is no --ready');
  if (flags.yes && !modes.has('copy')) throw usage('yes', 'it allows copies above 2 GB, and no task works in one. Leave it out');
  const onlyCopies = modes.size > 0 && [...modes].every((mode) => mode === 'copy');
  if (onlyCopies && flags.include) throw usage('include', 'a copy has all files. Leave it out');
  if (onlyCopies && flags.lfs) throw usage('lfs', 'a copy has the files as they are. Leave it out');
  if (flags.root !== undefined && flags.patches !== undefined && resolve(flags.root) === resolve(flags.patches))
    throw usage('root', 'it is the directory of --patches too. Name another one');
}

function commandOf(flags: WorkspaceFlags, name: 'setup' | 'ready', timeout: 'setupTimeout' | 'readyTimeout'): WorkspaceCommand | undefined {
  const command = flags[name];
  if (command === undefined) return undefined;
  if (command.trim() === '') throw usage(name, 'the command is empty. Write a shell line, or leave it out');
  const limit = flags[timeout];
  return { command, ...(limit !== undefined && { timeoutMs: parseDuration(limit, nameOf(timeout)) }) };
}

function usage(flag: Flag, why: string): OpencodeManagerError {
  return new OpencodeManagerError('USAGE', `${nameOf(flag)}: ${why}.`, { details: { option: nameOf(flag) } });
}
