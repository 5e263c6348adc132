import { readFile } from 'node:fs/promises';
import { runLayout } from '../directory/layout.ts';
import type { RunFile } from '../directory/run-file.ts';
import { readState, type RunState } from '../directory/state-file.ts';
import { unreadable, wordsOf } from '../errors.ts';
import type { RunEnded } from '../journal/events.ts';
import { noteHolder, type NotedHolder } from './holder.ts';

/**
 * How a run stands. A reason: its manager has let go of it. `interrupted`: its manager died. `elsewhere`: its manager is of another container or
 * machine, and whether it lives cannot be seen from here.
 */
export type RunStatus = 'running' | 'interrupted' | 'elsewhere' | RunEnded['reason'];

/** What a run says of itself at a glance. */
export interface RunLook {
  readonly path: string;
  readonly run: Pick<RunFile, 'id' | 'created_at' | 'directory' | 'source'>;
  /** What it told last: at most a second old while it runs. Undefined when it has told nothing. */
  readonly state: RunState | undefined;
  readonly holder: NotedHolder;
  /** Undefined when only its journal tells. */
  readonly status: RunStatus | undefined;
}

/**
 * Looks at a run without its journal: three small files, whatever its size.
 * @throws `RUN_UNREADABLE`
 */
export async function lookAtRun(path: string): Promise<RunLook> {
  const { runFile, state: stateFile, lockNote } = runLayout(path);
  const [run, holder] = await Promise.all([readHead(runFile), noteHolder(lockNote)]);
  // After the note: who lets go of a run tells its end first.
  const state = await readState(stateFile);
  return { path, run, state, holder, status: statusOf(holder, state) };
}

function statusOf({ standing, holder }: NotedHolder, state: RunState | undefined): RunStatus | undefined {
  if (standing === 'alive') return 'running';
  if (standing === 'elsewhere') return 'elsewhere';
  const ended = typeof state?.['ended'] === 'string' ? (state['ended'] as RunEnded['reason']) : undefined;
  if (standing === 'none') return ended;
  // A state that tells an end may be that of an earlier manager.
  return ended !== undefined && state?.['pid'] === holder?.pid ? ended : 'interrupted';
}

/** The status of a run by its journal: why its newest manager let go of it, or null. */
export function statusByJournal({ standing }: NotedHolder, endedBecause: RunEnded['reason'] | null): RunStatus {
  if (standing === 'alive') return 'running';
  if (endedBecause !== null) return endedBecause;
  return standing === 'elsewhere' ? 'elsewhere' : 'interrupted';
}

/** `run.json`, as far as a glance needs it; whoever needs more checks all of it. */
async function readHead(path: string): Promise<RunLook['run']> {
  let head: Partial<RunFile> | null;
  try {
    head = JSON.parse(await readFile(path, 'utf8')) as Partial<RunFile> | null;
  } catch (error) {
    throw unreadable(path, `cannot be read: ${wordsOf(error)}`, error);
  }
  const { id, created_at: createdAt, directory, source = null } = head ?? {};
  if (typeof id !== 'string' || typeof createdAt !== 'string' || typeof directory !== 'string')
    throw unreadable(path, 'is damaged: id, created_at or directory is missing');
  return { id, created_at: createdAt, directory, source };
}
