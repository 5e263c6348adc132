import { findLeftovers, reapLeftovers } from '@opencode-manager/core';
import { plural } from '../render/index.ts';

/**
 * Ends what managers that are gone left behind, and gives a line that says so; undefined when there was nothing. Only
 * processes with the mark of such a run in their environment are ended, so a recycled pid is never hit.
 */
export async function reapDeadManagers(): Promise<string | undefined> {
  const found = await findLeftovers();
  if (found.length === 0) return undefined;
  const { processes, directories } = await reapLeftovers(found);
  const did = `ended ${plural(processes, 'process', 'processes')} and removed ${plural(directories, 'directory', 'directories')}`;
  return `Cleaned up after ${plural(found.length, 'dead manager')}: ${did}.`;
}
