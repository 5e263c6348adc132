import { readdir, readFile } from 'node:fs/promises';
import { execa } from 'execa';

/** Variable that every process which descends from one of our servers carries. */
export const runMarkerVariable = 'OPENCODE_MANAGER_RUN_ID';

export interface MarkedProcess {
  readonly pid: number;
  readonly command: string;
}

/**
 * When a process started, as the system counts it: together with the pid it names a process for ever, since a recycled
 * pid has another start. undefined when there is no such process. Source: field 22 of /proc/PID/stat; `ps` on macOS.
 */
export async function processStartTime(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return (await ps(['-o', 'lstart=', '-p', String(pid)])).trim() || undefined;
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The second field is the command in brackets and may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z') return undefined;
  return fields[19];
}

/** True when the process with this pid is the one that started then. */
export async function isSameProcess(pid: number, startTime: string): Promise<boolean> {
  return (await processStartTime(pid)) === startTime;
}

/**
 * Processes whose environment carries the marker of a run. This finds what a group kill misses: opencode starts each
 * tool in a session of its own. A process that emptied its environment is not found.
 */
export async function findMarkedProcesses(runId: string): Promise<MarkedProcess[]> {
  const marker = `${runMarkerVariable}=${runId}`;
  if (process.platform !== 'linux') return findMarkedByPs(marker);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => readMarked(pid, marker)));
  return found.filter((entry) => entry !== undefined);
}

async function readMarked(pid: string, marker: string): Promise<MarkedProcess | undefined> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  if (!environment.split('\0').includes(marker)) return undefined;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return { pid: Number(pid), command: command.replaceAll('\0', ' ').trim() };
}

async function findMarkedByPs(marker: string): Promise<MarkedProcess[]> {
  const lines = (await ps(['-axEww', '-o', 'pid=,command='])).split('\n');
  return lines
    .filter((line) => line.includes(marker))
    .map((line) => {
      const [, pid = '', command = ''] = /^\s*(\d+)\s+(\S+)/.exec(line) ?? [];
      return { pid: Number(pid), command };
    });
}

async function ps(args: readonly string[]): Promise<string> {
  const { stdout } = await execa('ps', args, { reject: false });
  return stdout;
}

/** Sends SIGKILL to all processes of a run until none is left; resolves with how many were there. */
export async function sweepMarkedProcesses(runId: string, deadlineMs: number): Promise<{ swept: number; left: MarkedProcess[] }> {
  const seen = new Set<number>();
  const until = Date.now() + deadlineMs;
  for (;;) {
    const left = await findMarkedProcesses(runId);
    if (left.length === 0 || Date.now() > until) return { swept: seen.size, left };
    for (const { pid } of left) {
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
