import { join } from 'node:path';
import { holderOf } from '../isolation/lock.ts';
import { deleteState, reduceToDatabase } from '../isolation/mark.ts';
import { removeRunRecord, runsThatAre, standingOfRun, type RunRecord } from './registry.ts';
import { findMarkedProcesses, runMark, sweepProcesses, type MarkedProcess } from './table.ts';

/** What a manager that is gone left behind. */
export interface Leftover {
  readonly record: RunRecord;
  readonly processes: readonly MarkedProcess[];
}

/**
 * Runs whose manager is gone for certain; those of other containers and machines are left alone. A process counts as left behind only
 * when its environment carries the run's marker, so a recycled pid is never taken for one.
 */
export async function findLeftovers(): Promise<Leftover[]> {
  const records = await runsThatAre('gone');
  return Promise.all(records.map(async (record) => ({ record, processes: await findMarkedProcesses(record.runId) })));
}

/**
 * Ends the processes of leftovers, removes temporary state and records; resolves with what was done. What cannot be ended keeps its state
 * and its record.
 */
export async function reapLeftovers(leftovers: readonly Leftover[]): Promise<{ readonly processes: number; readonly directories: number }> {
  let processes = 0;
  let directories = 0;
  for (const { record } of leftovers) {
    if ((await standingOfRun(record)) !== 'gone') continue;
    const { swept, left } = await sweepProcesses(runMark(record.runId), 2000);
    processes += swept;
    if (left.length > 0) continue;
    if (await deleteLeftState(record)) directories += 1;
    await removeRunRecord(record.runId);
  }
  return { processes, directories };
}

async function deleteLeftState({ temporaryState, keepsDatabase, stateDir, runId }: RunRecord): Promise<boolean> {
  if (!temporaryState) return false;
  const holder = await holderOf(join(stateDir, 'manager.lock'));
  // Another run has taken the directory since.
  if (holder !== undefined && holder !== runId) return false;
  if (!keepsDatabase) return deleteState(stateDir);
  await reduceToDatabase(stateDir);
  return false;
}
