import { readFile } from 'node:fs/promises';
import { systemFaultOf } from '../errors/index.ts';

/**
 * When a process started, as the system counts it: together with the pid it names a process for ever, since a recycled
 * pid has another start. undefined when there is no such process. Source: field 22 of /proc/PID/stat; `ps` on macOS.
 */
export async function processStartTime(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return startTimeByPs(pid);
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(unlessOutOfDescriptors);
  // The second field is the command in brackets and may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z') return undefined;
  return fields[19];
}

/** True when the process with this pid is the one that started then. */
export async function isSameProcess(pid: number, startTime: string): Promise<boolean> {
  return (await processStartTime(pid)) === startTime;
}

async function startTimeByPs(pid: number): Promise<string | undefined> {
  // Loaded late: Linux never needs it, and a command that looks at a run starts without it.
  const { execa } = await import('execa');
  const { stdout } = await execa('ps', ['-o', 'lstart=', '-p', String(pid)], { reject: false });
  return stdout.trim() || undefined;
}

/** A process that is gone, or is another user's, reads as nothing. One that merely could not be looked at must not: it would be taken for gone. */
export function unlessOutOfDescriptors(error: NodeJS.ErrnoException): string {
  if (systemFaultOf(error) !== undefined) throw error;
  return '';
}
