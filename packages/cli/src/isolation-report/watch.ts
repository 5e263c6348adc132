import { stat } from 'node:fs/promises';
import { findMarkedProcesses } from '@opencode-manager/core';
import { formatBytes } from '../render/index.ts';
import { differences, fingerprintDirectories, type Fingerprint } from './fingerprint.ts';
import { canInspectProcesses, filesOpenForWriting, isInside, placesInEnvironment, placesOutside, processesUsing } from './process-view.ts';
import { userOpencodeDirectories } from './user-directories.ts';

export type CheckStatus = 'ok' | 'failed' | 'unknown';

/** One check of isolation that was really made. */
export interface IsolationCheck {
  readonly name: 'user-directories' | 'environment' | 'open-files' | 'processes' | 'state' | 'workspaces';
  /** `unknown`: it could not be made here, or its result does not tell. */
  readonly status: CheckStatus;
  /** One sentence. */
  readonly detail: string;
}

/** What is watched. The server need not be running for the last two checks. */
export interface WatchedServer {
  readonly pid: number;
  readonly runId: string;
  readonly stateDir: string;
  readonly directory: string;
  /** Where the workspaces of its tasks lie, if they have some. */
  readonly workspaces?: string;
}

/**
 * Watches the isolation of one run from the outside: fingerprints of the user's own opencode directories around it, the
 * environment and the open files of the server's processes while it works, and what is left of it at the end.
 *
 * @example
 * const watch = await startIsolationWatch()
 * const server = await launchServer()
 * await watch.inspect(server)
 * await server.stop()
 * console.log(await watch.finish(server))
 */
export interface IsolationWatch {
  /** Looks at the running server and its tools now; call it as often as is useful. Never throws. */
  inspect(server: WatchedServer): Promise<void>;
  /** The verdicts; call it after the server was stopped. */
  finish(server: WatchedServer, expected?: { readonly stateDeleted: boolean }): Promise<readonly IsolationCheck[]>;
}

export async function startIsolationWatch(directories: readonly string[] = userOpencodeDirectories()): Promise<IsolationWatch> {
  const before = await fingerprintDirectories(directories);
  const seen: Observations = { environments: 0, looks: 0, files: new Set(), misplaced: new Set(), foreignFiles: new Set() };
  return {
    // A look that fails is one look less; it must not end what is looked at.
    inspect: (server) => inspectRun(server, seen).catch(() => undefined),
    async finish(server, { stateDeleted } = { stateDeleted: true }) {
      const after = await fingerprintDirectories(directories);
      return [
        await directoriesCheck(before, after),
        environmentCheck(seen),
        openFilesCheck(seen),
        await processesCheck(server.runId),
        await stateCheck(server.stateDir, stateDeleted),
      ];
    },
  };
}

interface Observations {
  environments: number;
  looks: number;
  readonly files: Set<string>;
  readonly misplaced: Set<string>;
  readonly foreignFiles: Set<string>;
}

async function inspectRun(server: WatchedServer, seen: Observations): Promise<void> {
  if (!canInspectProcesses()) return;
  const marked = await findMarkedProcesses(server.runId);
  const pids = new Set([server.pid, ...marked.map(({ pid }) => pid)]);
  await Promise.all([...pids].map((pid) => inspectProcess(pid, server, seen)));
}

async function inspectProcess(
  pid: number,
  { pid: serverPid, stateDir, directory, workspaces = directory }: WatchedServer,
  seen: Observations,
): Promise<void> {
  const [places, files] = await Promise.all([placesInEnvironment(pid), filesOpenForWriting(pid)]);
  if (places) {
    seen.environments += 1;
    for (const place of placesOutside(places, stateDir, { complete: pid === serverPid })) seen.misplaced.add(place);
  }
  if (files) seen.looks += 1;
  for (const file of files ?? []) {
    seen.files.add(file);
    if (![stateDir, directory, workspaces].some((place) => isInside(file, place))) seen.foreignFiles.add(file);
  }
}

async function directoriesCheck(before: Fingerprint, after: Fingerprint): Promise<IsolationCheck> {
  const name = 'user-directories';
  const changed = differences(before, after);
  const there = before.directories.filter((directory) => before.entries.get(directory) !== 'missing').length;
  const scope = `${before.directories.length} places of your own opencode (${there} exist, ${before.entries.size} entries, ${formatBytes(before.hashedBytes)} read)`;
  if (changed.length === 0) {
    const limit = before.truncated ? '; more entries than are compared' : '';
    return { name, status: before.truncated ? 'unknown' : 'ok', detail: `${scope} are the same before and after${limit}` };
  }
  const others = canInspectProcesses() ? await processesUsing(before.directories, new Set()) : [];
  const list = `${changed.slice(0, 3).join(', ')}${changed.length > 3 ? ` and ${changed.length - 3} more` : ''}`;
  if (others.length === 0) return { name, status: 'failed', detail: `changed during the run: ${list}` };
  return {
    name,
    status: 'unknown',
    detail: `changed during the run: ${list}; another process has files open there (${others.slice(0, 3).join(', ')}), so this tells nothing`,
  };
}

function environmentCheck({ environments, misplaced }: Observations): IsolationCheck {
  const name = 'environment';
  if (misplaced.size > 0) return { name, status: 'failed', detail: `outside the state directory: ${[...misplaced].join(', ')}` };
  if (environments === 0) return impossible(name);
  return {
    name,
    status: 'ok',
    detail: `HOME, TMPDIR, every XDG variable and git's configuration of the server and its tools lie in the state directory (${environments} looks at /proc)`,
  };
}

function openFilesCheck({ looks, files, foreignFiles }: Observations): IsolationCheck {
  const name = 'open-files';
  if (foreignFiles.size > 0)
    return { name, status: 'failed', detail: `open for writing elsewhere: ${[...foreignFiles].slice(0, 5).join(', ')}` };
  if (looks === 0) return impossible(name);
  return {
    name,
    status: 'ok',
    detail: `${files.size} files seen open for writing, all in the state directory or a workspace (${looks} looks at /proc)`,
  };
}

function impossible(name: IsolationCheck['name']): IsolationCheck {
  const reason = canInspectProcesses() ? 'the processes could not be read' : `${process.platform} does not show it without /proc`;
  return { name, status: 'unknown', detail: `not checked: ${reason}` };
}

async function processesCheck(runId: string): Promise<IsolationCheck> {
  const left = await findMarkedProcesses(runId);
  if (left.length === 0) return { name: 'processes', status: 'ok', detail: 'no process with the mark of this run is left' };
  return {
    name: 'processes',
    status: 'failed',
    detail: `still running: ${left.map(({ pid, command }) => `${pid} ${command.slice(0, 60)}`).join(', ')}`,
  };
}

async function stateCheck(stateDir: string, expectDeleted: boolean): Promise<IsolationCheck> {
  const exists = await stat(stateDir).then(
    () => true,
    () => false,
  );
  if (!exists) return { name: 'state', status: 'ok', detail: 'the state directory is gone' };
  if (!expectDeleted) return { name: 'state', status: 'ok', detail: `the state directory was named, so it stays: ${stateDir}` };
  return { name: 'state', status: 'failed', detail: `the state directory is still there: ${stateDir}` };
}
