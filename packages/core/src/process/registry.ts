import { randomUUID } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { OpencodeManagerError, systemFaultOf } from '../errors/index.ts';
import type { LifePlace } from './life.ts';
import { standingOf, type ProcessOrigin, type RecordedProcess, type Standing } from './origin.ts';
import { userId } from './user.ts';

/** One run in the private directory of running managers. No secrets: the url alone opens nothing. */
export interface RunRecord {
  readonly runId: string;
  readonly managerPid: number;
  readonly managerStartTime: string;
  /** Where these pids count; absent on macOS and in records of earlier versions. */
  readonly origin?: ProcessOrigin | undefined;
  /** 0 until the server is ready. */
  readonly serverPid: number;
  readonly serverStartTime: string;
  /** Empty until the server is ready. */
  readonly url: string;
  readonly version: string;
  readonly directory: string;
  readonly stateDir: string;
  /** True when the state directory goes with the run. */
  readonly temporaryState: boolean;
  /** Of a state that does not stay: its database does. */
  readonly keepsDatabase?: true;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** Directory of the records of this user's running managers; it goes with its last entry. */
export function registryDirectory(): string {
  return join(tmpdir(), registryName());
}

function registryName(): string {
  return `opencode-manager-${userId()}`;
}

/** Bytes of the longest path of a Unix socket: 108 on Linux and 104 on macOS, with the NUL that ends it. */
const longestSocketPath = 103;

/**
 * Where the manager of a run listens for `ocm sessions`, `ocm events` and the like: beside its record, or, where that path is too long for a
 * socket, in a private directory below /tmp.
 */
export function runSocketPath(runId: string): string {
  const name = `${runId.slice(0, 13)}.sock`;
  const path = join(registryDirectory(), name);
  return Buffer.byteLength(path) <= longestSocketPath ? path : join('/tmp', registryName(), name);
}

/** Where the manager of a run shows that it lives, for whoever sees its record. */
export function runLife(runId: string): LifePlace {
  return { directory: registryDirectory(), name: `${runId}.alive` };
}

/** The files of a run outside its state: its record, its socket, its sign of life. */
export function runFiles(runId: string): string[] {
  const { directory, name } = runLife(runId);
  return [recordPath(runId), runSocketPath(runId), join(directory, name)];
}

/** The directories of a run's record and its socket, mostly one. */
export function runDirectories(runId: string): string[] {
  return [...new Set([registryDirectory(), dirname(runSocketPath(runId))])];
}

/** Writes or replaces a run's record. */
export async function writeRunRecord(record: RunRecord): Promise<void> {
  // Another manager may remove the empty directory between the two steps.
  for (let attempt = 1; ; attempt += 1) {
    try {
      await ensurePrivateDirectory(registryDirectory());
      // Without it there is no socket, and the run goes on.
      await ensurePrivateDirectory(dirname(runSocketPath(record.runId))).catch(() => undefined);
      const draft = join(registryDirectory(), `.${randomUUID()}.draft`);
      await writeRecord(draft, record);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 5) throw unwritable(error);
    }
  }
}

/** What the machine lacks is explained elsewhere. */
function unwritable(error: unknown): unknown {
  if (error instanceof OpencodeManagerError || systemFaultOf(error) !== undefined) return error;
  return new OpencodeManagerError(
    'STATE_DIRECTORY_UNWRITABLE',
    `TMPDIR: ${tmpdir()} cannot be written (${(error as NodeJS.ErrnoException).code}). Check its permissions, or set TMPDIR to another directory.`,
    { details: { path: tmpdir() }, cause: error },
  );
}

async function writeRecord(draft: string, record: RunRecord): Promise<void> {
  try {
    await writeFile(draft, JSON.stringify(record), { mode: 0o600 });
    await rename(draft, recordPath(record.runId));
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Removes the files of a run, and the directory with its last entry. */
export async function removeRunRecord(runId: string): Promise<void> {
  for (const path of runFiles(runId)) await rm(path, { force: true });
  for (const directory of runDirectories(runId)) await rmdir(directory).catch(() => undefined);
}

/** Records of all runs, whether their manager is alive or not. */
async function readRunRecords(): Promise<RunRecord[]> {
  const names = await readdir(registryDirectory()).catch(() => []);
  if (names.length > 0) await ensurePrivateDirectory(registryDirectory());
  const records = await Promise.all(names.filter((name) => name.endsWith('.json')).map(readRecord));
  return records.filter((record) => record !== undefined);
}

/** Records of the runs of this container whose manager is alive and whose server is ready, oldest first. */
export async function listRuns(): Promise<RunRecord[]> {
  const alive = await runsThatAre('alive');
  return alive.filter(({ url }) => url !== '');
}

/** Records of runs that are left alone: their manager may live where it cannot be seen, in another container or on another machine. */
export function listForeignRuns(): Promise<RunRecord[]> {
  return runsThatAre('foreign');
}

/** Records of the runs whose manager is alive here, is gone for certain, or may live elsewhere; oldest first. */
export async function runsThatAre(standing: Standing): Promise<RunRecord[]> {
  const records = await readRunRecords();
  const standings = await Promise.all(records.map(standingOfRun));
  return records.filter((_, index) => standings[index] === standing).toSorted((a, b) => a.startedAt.localeCompare(b.startedAt));
}

/** The manager of a run, as its record names it. */
export function managerOf({ managerPid, managerStartTime, origin }: RunRecord): RecordedProcess {
  return { pid: managerPid, startTime: managerStartTime, origin };
}

export function standingOfRun(record: RunRecord): Promise<Standing> {
  return standingOf(managerOf(record), runLife(record.runId));
}

async function readRecord(name: string): Promise<RunRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(registryDirectory(), name), 'utf8')) as RunRecord;
  } catch {
    return undefined;
  }
}

function recordPath(runId: string): string {
  return join(registryDirectory(), `${runId}.json`);
}

/** The system's temporary directory is shared: what stands there under our name must be ours and closed to others. */
async function ensurePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== userId()) {
    throw new OpencodeManagerError(
      'STATE_DIRECTORY_UNSAFE',
      `${path} belongs to somebody else. Remove it, or set TMPDIR to a directory of your own.`,
      {
        details: { path },
      },
    );
  }
  if ((found.mode & 0o077) !== 0) await chmod(path, 0o700);
}
