import { stat } from 'node:fs/promises';
import { listRuns, OpencodeManagerError, runSocketPath, type RunRecord } from '@opencode-manager/core';
import { createClient, type ManagerClient } from './client.ts';

/**
 * Finds the running manager that is meant: the one with this pid, or the only one.
 * @throws OpencodeManagerError `MANAGER_NOT_FOUND`, `USAGE` when several run and none was named
 *
 * @example
 * const manager = await findManager()
 * console.log(await manager.call('sessions', {}))
 */
export async function findManager(pid?: number): Promise<ManagerClient> {
  const runs = await listRuns();
  if (pid !== undefined) {
    const named = runs.findLast((run) => run.managerPid === pid);
    if (named) return createClient(named);
    throw notFound(`No manager runs under the process id ${pid}`, runs);
  }
  const reachable = await withSockets(runs);
  if (reachable.length > 1) throw severalManagers(reachable);
  if (reachable[0]) return createClient(reachable[0]);
  throw notFound('No manager is running', []);
}

/** All managers of this user that have a socket, in the order of their start. */
export async function reachableManagers(): Promise<readonly ManagerClient[]> {
  return (await withSockets(await listRuns())).map(createClient);
}

/** Programs that use the library own servers too, and have no socket: they are never meant unless named. */
async function withSockets(runs: readonly RunRecord[]): Promise<RunRecord[]> {
  const found = await Promise.all(runs.map(({ runId }) => stat(runSocketPath(runId)).catch(() => undefined)));
  return runs.filter((_, index) => found[index]?.isSocket());
}

function notFound(what: string, runs: readonly RunRecord[]): OpencodeManagerError {
  const others = runs.length > 0 ? `\nThere are:\n${listing(runs)}` : '';
  return new OpencodeManagerError('MANAGER_NOT_FOUND', `${what}. Start one with: ocm serve --directory DIR${others}`);
}

function severalManagers(runs: readonly RunRecord[]): OpencodeManagerError {
  return new OpencodeManagerError('USAGE', `${runs.length} managers are running; name one with --manager PID:\n${listing(runs)}`, {
    details: { managers: runs.map(({ managerPid }) => managerPid) },
  });
}

function listing(runs: readonly RunRecord[]): string {
  return runs.map(({ managerPid, directory, startedAt }) => `  ${managerPid}  ${directory}  since ${startedAt}`).join('\n');
}
