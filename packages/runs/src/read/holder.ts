import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { isSameProcess, processOrigin } from '@opencode-manager/core/process';
import type { RunHolder } from '../directory/run-lock.ts';

/**
 * What became of the process that has a run, by the note beside its lock. `none`: nobody has it. `alive`, `gone`: certain. `elsewhere`: it is of
 * another container or machine, and cannot be looked at from here.
 */
export type HolderStanding = 'none' | 'alive' | 'gone' | 'elsewhere';

export interface NotedHolder {
  readonly standing: HolderStanding;
  /** Undefined with `none`. */
  readonly holder: RunHolder | undefined;
}

/**
 * Who has a run, without a touch of its lock: a process that lets go of a run removes the note, and one that was killed leaves it.
 * @param path Of `lock.json`
 */
export async function noteHolder(path: string): Promise<NotedHolder> {
  const holder = await readNote(path);
  return { standing: holder ? await standingOf(holder) : 'none', holder };
}

async function standingOf({ pid, start_time: startTime, boot_id: bootId, pid_namespace: pidNamespace, host }: RunHolder) {
  const here = await processOrigin();
  const isHere = here === undefined || bootId === null ? host === hostname() : bootId === here.bootId && pidNamespace === here.pidNamespace;
  if (isHere) return startTime !== null && (await isSameProcess(pid, startTime)) ? 'alive' : 'gone';
  // The same name and another boot: this machine was started again.
  return here !== undefined && bootId !== here.bootId && host === hostname() ? 'gone' : 'elsewhere';
}

async function readNote(path: string): Promise<RunHolder | undefined> {
  try {
    const note = JSON.parse(await readFile(path, 'utf8')) as Partial<RunHolder> | null;
    if (typeof note?.pid !== 'number' || typeof note.host !== 'string') return undefined;
    const { pid, host, start_time = null, boot_id = null, pid_namespace = null, since = '' } = note;
    return { pid, host, start_time, boot_id, pid_namespace, since };
  } catch {
    return undefined;
  }
}
