import { randomUUID } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { OpencodeManagerError } from '../errors/index.ts';
import { isSameProcess } from './table.ts';

/** One run in the private directory of running managers. No secrets: the url alone opens nothing. */
export interface RunRecord {
  readonly runId: string;
  readonly managerPid: number;
  readonly managerStartTime: string;
  readonly serverPid: number;
  readonly serverStartTime: string;
  readonly url: string;
  readonly version: string;
  readonly directory: string;
  readonly stateDir: string;
  /** True when the state directory goes with the run. */
  readonly temporaryState: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** Directory of the records of this user's running managers; it goes with its last entry. */
export function registryDirectory(): string {
  return join(tmpdir(), `opencode-manager-${userInfo().uid}`);
}

/** Where the manager of a run listens for `ocm sessions`, `ocm events` and the like. */
export function runSocketPath(runId: string): string {
  return join(registryDirectory(), `${runId.slice(0, 13)}.sock`);
}

/** Writes or replaces a run's record. */
export async function writeRunRecord(record: RunRecord): Promise<void> {
  // Another manager may remove the empty directory between the two steps.
  for (let attempt = 1; ; attempt += 1) {
    try {
      await ensureRegistryDirectory();
      const draft = join(registryDirectory(), `.${randomUUID()}.draft`);
      await writeFile(draft, JSON.stringify(record), { mode: 0o600 });
      await rename(draft, recordPath(record.runId));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 5) throw error;
    }
  }
}

/** Removes a run's record and socket, and the directory with its last entry. */
export async function removeRunRecord(runId: string): Promise<void> {
  await rm(recordPath(runId), { force: true });
  await rm(runSocketPath(runId), { force: true });
  await rmdir(registryDirectory()).catch(() => undefined);
}

/** Records of all runs, whether their manager is alive or not. */
export async function readRunRecords(): Promise<RunRecord[]> {
  const names = await readdir(registryDirectory()).catch(() => []);
  if (names.length > 0) await ensureRegistryDirectory();
  const records = await Promise.all(names.filter((name) => name.endsWith('.json')).map(readRecord));
  return records.filter((record) => record !== undefined);
}

/** Records of the runs whose manager is alive, oldest first. */
export async function listRuns(): Promise<RunRecord[]> {
  const records = await readRunRecords();
  const alive = await Promise.all(records.map((record) => isSameProcess(record.managerPid, record.managerStartTime)));
  return records.filter((_, index) => alive[index]).toSorted((a, b) => a.startedAt.localeCompare(b.startedAt));
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
async function ensureRegistryDirectory(): Promise<void> {
  const path = registryDirectory();
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== userInfo().uid) {
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
