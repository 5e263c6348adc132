import { rm } from 'node:fs/promises';
import { readRunRecords, removeRunRecord, type RunRecord } from './registry.ts';
import { findMarkedProcesses, isSameProcess, runMark, sweepProcesses, type MarkedProcess } from './table.ts';

/** What a manager that is gone left behind. */
export interface Leftover {
  readonly record: RunRecord;
  readonly processes: readonly MarkedProcess[];
}

/**
 * Runs whose manager is gone. A process counts as left behind only when its environment carries the run's marker, so a
 * recycled pid is never taken for one.
 */
export async function findLeftovers(): Promise<Leftover[]> {
  const leftovers: Leftover[] = [];
  for (const record of await readRunRecords()) {
    if (await isSameProcess(record.managerPid, record.managerStartTime)) continue;
    leftovers.push({ record, processes: await findMarkedProcesses(record.runId) });
  }
  return leftovers;
}

/** Ends the processes of leftovers, removes temporary state and records; resolves with what was done. */
export async function reapLeftovers(leftovers: readonly Leftover[]): Promise<{ readonly processes: number; readonly directories: number }> {
  let processes = 0;
  let directories = 0;
  for (const { record } of leftovers) {
    if (await isSameProcess(record.managerPid, record.managerStartTime)) continue;
    processes += (await sweepProcesses(runMark(record.runId), 2000)).swept;
    if (record.temporaryState) {
      await rm(record.stateDir, { recursive: true, force: true, maxRetries: 3 });
      directories += 1;
    }
    await removeRunRecord(record.runId);
  }
  return { processes, directories };
}
