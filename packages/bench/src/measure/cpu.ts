import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';

/** Kernel ticks a second, as Linux reports CPU times. */
const ticksPerSecond = 100;

/** Microseconds of CPU (user and system) that the calling thread has used. */
export function threadCpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Microseconds of CPU that all threads of this process have used. */
export function processCpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU seconds of a process, or of its children that have ended, from /proc/PID/stat (fields 14 to 17). */
export async function cpuSecondsOf(pid: number | 'self', whose: 'self' | 'children'): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const first = whose === 'self' ? 11 : 13;
  return (fields[first]! + fields[first + 1]!) / ticksPerSecond;
}

/** CPU seconds of a process and of its children that have ended. */
export async function cpuSecondsOfTree(pid: number | 'self'): Promise<number> {
  return (await cpuSecondsOf(pid, 'self')) + (await cpuSecondsOf(pid, 'children'));
}

/** The highest resident memory of a process so far, in megabytes. */
export function peakMemoryMb(pid: number | 'self' = 'self'): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) / 1024;
}
