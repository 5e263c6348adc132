import { findLeftovers, listForeignRuns, reapLeftovers } from '@opencode-manager/core';
import { plural } from '../render/index.ts';

/**
 * Ends what managers that are gone left behind, and gives a line that says so; undefined when there was nothing. Only
 * processes with the mark of such a run in their environment are ended, so a recycled pid is never hit. What a manager of another
 * container or machine owns is left alone.
 */
export async function reapDeadManagers(): Promise<string | undefined> {
  const found = await findLeftovers();
  if (found.length === 0) return undefined;
  const { processes, directories } = await reapLeftovers(found);
  const did = `ended ${plural(processes, 'process', 'processes')} and removed ${plural(directories, 'directory', 'directories')}`;
  const foreign = (await listForeignRuns()).length;
  const left = foreign === 0 ? '' : ` Left alone: ${plural(foreign, 'manager')} of other containers or machines (ocm doctor names them).`;
  return `Cleaned up after ${plural(found.length, 'dead manager')}: ${did}.${left}`;
}
