import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { findMarkedProcesses } from '@opencode-manager/core';
import { fullDiskMs } from './plan.ts';

/** Kills the server of a manager; undefined when there is none at the moment. */
export async function killServer(mark: string): Promise<string | undefined> {
  for (const { pid } of await findMarkedProcesses(mark)) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!/opencode\0serve\0/.test(line)) continue;
    process.kill(pid, 'SIGKILL');
    return 'server killed';
  }
  return undefined;
}

/** Leaves no byte on a file system, for ten seconds. */
export async function fillDisk(disk: string): Promise<string> {
  const path = join(disk, 'filler');
  const until = performance.now() + fullDiskMs;
  // What others give back meanwhile is taken too.
  while (performance.now() < until) {
    await fill(path);
    await pause(100);
  }
  await rm(path);
  return 'disk was full';
}

async function fill(path: string): Promise<void> {
  await using file = await open(path, 'a');
  for (let size = 1 << 20; size >= 512;) {
    const { bytesWritten } = await file.write(Buffer.alloc(size)).catch(() => ({ bytesWritten: 0 }));
    if (bytesWritten < size) size >>= 1;
  }
}
