import { readdir, readFile, readlink } from 'node:fs/promises';
import { sep } from 'node:path';

/** Variables that say where a program keeps its files. */
const placeVariables = [
  'HOME',
  'TMPDIR',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'XDG_STATE_HOME',
  'XDG_CACHE_HOME',
  'XDG_RUNTIME_DIR',
  'GIT_CONFIG_GLOBAL',
  'OPENCODE_CONFIG',
] as const;

/** Access modes of open(2) that write: O_WRONLY and O_RDWR. */
const writeModes = 0o3;

/** True where the system shows other processes' environment and open files. */
export function canInspectProcesses(platform: NodeJS.Platform = process.platform): boolean {
  return platform === 'linux';
}

/** The variables of a process that name a place, as the system reports them; undefined when it cannot be read. */
export async function placesInEnvironment(pid: number): Promise<ReadonlyMap<string, string> | undefined> {
  const text = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const entries = text.split('\0').map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const);
  return new Map(entries.filter(([name]) => (placeVariables as readonly string[]).includes(name)));
}

/** Whether the environment of a process holds a text, as the system reports it; undefined when it cannot be read. */
export async function environmentHolds(pid: number, text: string): Promise<boolean | undefined> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => undefined);
  return environment?.includes(text);
}

/**
 * Variables that name a place outside `root`. The server must have all of them (`complete`); a tool may run without
 * some, and then has nothing to lead it outside.
 */
export function placesOutside(places: ReadonlyMap<string, string>, root: string, { complete }: { readonly complete: boolean }): string[] {
  const names = complete ? placeVariables : placeVariables.filter((name) => places.has(name));
  return names.filter((name) => !isInside(places.get(name), root)).map((name) => `${name}=${places.get(name) ?? '(not set)'}`);
}

/** Files and directories that a process holds open for writing; undefined when it cannot be read. */
export async function filesOpenForWriting(pid: number): Promise<readonly string[] | undefined> {
  const numbers = await readdir(`/proc/${pid}/fd`).catch(() => undefined);
  if (numbers === undefined) return undefined;
  const found = await Promise.all(numbers.map((number) => writableFile(pid, number)));
  return found.filter((path) => path !== undefined);
}

async function writableFile(pid: number, number: string): Promise<string | undefined> {
  // A descriptor can be closed between the listing and the look at it.
  const target = await readlink(`/proc/${pid}/fd/${number}`).catch(() => '');
  if (!target.startsWith('/') || target.startsWith('/dev/') || target.startsWith('/memfd:')) return undefined;
  const info = await readFile(`/proc/${pid}/fdinfo/${number}`, 'utf8').catch(() => '');
  const flags = /^flags:\s*([0-7]+)/m.exec(info)?.[1];
  if (flags === undefined || (Number.parseInt(flags, 8) & writeModes) === 0) return undefined;
  return target.replace(/ \(deleted\)$/, '');
}

/** Other processes of this user that hold files below the directories open; they may be the user's own opencode. */
export async function processesUsing(directories: readonly string[], except: ReadonlySet<number>): Promise<number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      if (except.has(pid)) return undefined;
      const open = await filesOpenForWriting(pid);
      return open?.some((path) => directories.some((directory) => isInside(path, directory))) ? pid : undefined;
    }),
  );
  return found.filter((pid) => pid !== undefined);
}

/** True when the path is the directory or lies below it. */
export function isInside(path: string | undefined, directory: string): boolean {
  return path !== undefined && (path === directory || path.startsWith(directory + sep));
}
