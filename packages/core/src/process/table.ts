import { readdir, readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { systemFaultOf } from '../errors/index.ts';
import { unlessOutOfDescriptors } from './start-time.ts';

/** Variable that every process which descends from one of our servers carries. */
export const runMarkerVariable = 'OPENCODE_MANAGER_RUN_ID';

/** Tells the servers of one run apart: while one takes the place of another, both run. */
export const serverMarkerVariable = 'OPENCODE_MANAGER_SERVER_ID';

/** Carried by what a session's tools and shell lines start; the plugin that we give the server sets it. */
export const sessionMarkerVariable = 'OPENCODE_MANAGER_SESSION_ID';

/** Entries of an environment, for example `OPENCODE_MANAGER_RUN_ID=...`; a process carries the mark when it has all of them. */
export type Mark = readonly string[];

export const runMark = (runId: string): Mark => [`${runMarkerVariable}=${runId}`];
export const serverMark = (serverId: string): Mark => [`${serverMarkerVariable}=${serverId}`];
export const sessionMark = (runId: string, sessionId: string): Mark => [...runMark(runId), `${sessionMarkerVariable}=${sessionId}`];

export interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * Processes whose environment carries the marker of a run. This finds what a group kill misses: opencode starts each
 * tool in a session of its own. A process that emptied its environment is not found.
 */
export function findMarkedProcesses(runId: string): Promise<MarkedProcess[]> {
  return findProcesses(runMark(runId));
}

async function findProcesses(mark: Mark): Promise<MarkedProcess[]> {
  if (process.platform !== 'linux') return findMarkedByPs(mark);
  // Where descriptors are short, one at a time may still do.
  return searchProc(mark, readersOfProc).catch(() => searchProc(mark, 1));
}

/** Files that are open at once while all processes are looked at: a crowded machine has thousands, and its limit may be 64. */
const readersOfProc = 8;

async function searchProc(mark: Mark, readers: number): Promise<MarkedProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found: MarkedProcess[] = [];
  const readOn = async () => {
    for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) {
      const entry = await readMarked(pid, mark);
      if (entry) found.push(entry);
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: readers }, readOn));
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure) throw failure.reason;
  return found.toSorted((a, b) => a.pid - b.pid);
}

async function readMarked(pid: string, mark: Mark): Promise<MarkedProcess | undefined> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(unlessOutOfDescriptors);
  const entries = environment.split('\0');
  if (!mark.every((entry) => entries.includes(entry))) return undefined;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return { pid: Number(pid), command: command.replaceAll('\0', ' ').trim() };
}

async function findMarkedByPs(mark: Mark): Promise<MarkedProcess[]> {
  const lines = (await ps(['-axEww', '-o', 'pid=,command='])).split('\n');
  return lines
    .filter((line) => mark.every((entry) => line.includes(entry)))
    .map((line) => {
      const [, pid = '', command = ''] = /^\s*(\d+)\s+(\S+)/.exec(line) ?? [];
      return { pid: Number(pid), command };
    });
}

async function ps(args: readonly string[]): Promise<string> {
  const { stdout } = await execa('ps', args, { reject: false });
  return stdout;
}

/** Sends SIGKILL to all processes that carry a mark until none is left; resolves with how many were there. */
export async function sweepProcesses(mark: Mark, deadlineMs: number): Promise<{ swept: number; left: MarkedProcess[] }> {
  const seen = new Set<number>();
  const until = Date.now() + deadlineMs;
  for (;;) {
    const late = Date.now() > until;
    const left = await findProcesses(mark).catch((error: unknown) => {
      if (late) throw error;
      return undefined;
    });
    if (left?.length === 0 || (left && late)) return { swept: seen.size, left };
    for (const { pid } of left ?? []) {
      seen.add(pid);
      signalProcess(pid, 'SIGKILL');
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Sends a signal; false when the process is gone or is not ours. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/**
 * Resident memory of a process in bytes; undefined when there is no such process. Source: `VmRSS` of /proc/PID/status;
 * `ps` on macOS.
 */
export async function residentBytes(pid: number): Promise<number | undefined> {
  const kib =
    process.platform === 'linux'
      ? /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'latin1').catch(() => ''))?.[1]
      : (await ps(['-o', 'rss=', '-p', String(pid)])).trim() || undefined;
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Whether a server of ours has as good as no file descriptor left below its limit. False where the system does not tell (macOS). */
export async function lacksDescriptors(pid: number): Promise<boolean> {
  try {
    const limits = await readFile(`/proc/${pid}/limits`, 'latin1');
    const open = await readdir(`/proc/${pid}/fd`);
    const limit = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    // A tool takes six for a moment; what failed for want of them has given its own back.
    return limit !== undefined && Number(limit) - open.length < 12;
  } catch (error) {
    // It has the limit of this process, which has just met it.
    return systemFaultOf(error) !== undefined;
  }
}
