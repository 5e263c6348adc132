import { isManagerError, OpencodeManagerError } from '@opencode-manager/core';
import { locateRun, lookAtRun, runDirectories, type RunLook } from '@opencode-manager/runs/look';
import type { ExitCode } from '../../exit-codes.ts';
import type { QueueFlags } from '../../flags.ts';
import { findManager, reachableManagers, type ManagerClient, type RunView } from '../../manager-socket/index.ts';
import { listenForStop } from '../../signals.ts';
import { printable } from '../../render/printable.ts';
import { runName } from '../../run-view/run-name.ts';

/** A live run, and the manager that carries it out. */
export interface FoundRun {
  readonly manager: ManagerClient;
  readonly id: string;
}

/**
 * Runs a client's work on the live run that is meant: by its name, or the newest live one of this repository, else the only one that there is.
 * Any stop signal closes the connection.
 * @throws OpencodeManagerError `RUN_UNKNOWN`, `RUN_NOT_LIVE`, `USAGE` when several are live and none was named
 */
export async function withRun(
  name: string | undefined,
  work: (found: FoundRun, signal: AbortSignal) => Promise<ExitCode>,
): Promise<ExitCode> {
  using signals = listenForStop();
  try {
    const exitCode = await work(name === undefined ? await newestLive() : await named(name), signals.drain);
    return signals.exitCode ?? exitCode;
  } catch (error) {
    if (isManagerError(error, 'REQUEST_ABORTED') && signals.exitCode !== undefined) return signals.exitCode;
    throw error;
  }
}

async function named(name: string): Promise<FoundRun> {
  const look = await locateRun('.', name).then(lookAtRun, async (error: unknown) => {
    // It may be of another place, or keep nothing.
    const elsewhere = (await liveRuns()).find(({ view }) => view.id === name);
    if (!elsewhere) throw error;
    return elsewhere;
  });
  return 'view' in look ? { manager: look.manager, id: look.view.id } : heldBy(look);
}

async function heldBy({ run: { id }, path, status, holder: { holder } }: RunLook): Promise<FoundRun> {
  if (status === 'running' && holder) return { manager: await findManager(holder.pid), id };
  const name = runName(id, path);
  const message =
    status === 'elsewhere' && holder
      ? `The run ${id} is carried out on ${printable(holder.host)}, and only there it can be changed.`
      : `Nobody carries out the run ${id} now, so there is nothing to change. Look at it with ocm status ${name}, go on with ocm resume ${name}.`;
  throw new OpencodeManagerError('RUN_NOT_LIVE', message, { details: { run: id } });
}

async function newestLive(): Promise<FoundRun> {
  for (const path of await runDirectories('.')) {
    const look = await lookAtRun(path).catch(() => undefined);
    if (look?.status === 'running') return heldBy(look);
  }
  const [only, ...others] = await liveRuns();
  if (only && others.length === 0) return { manager: only.manager, id: only.view.id };
  if (!only) throw new OpencodeManagerError('RUN_NOT_LIVE', 'No run is live. Start one with: ocm run FILE');
  const listed = [only, ...others].map(({ view: { id, run_dir: path } }) => `  ${id}  ${path ?? ''}`).join('\n');
  throw new OpencodeManagerError(
    'USAGE',
    `No run of this repository is live, and ${others.length + 1} are elsewhere; name one:\n${listed}`,
  );
}

/** Of all managers of this user. One that goes meanwhile, or is of another version, has none. */
async function liveRuns(): Promise<{ readonly manager: ManagerClient; readonly view: RunView }[]> {
  const found = (await reachableManagers()).map(async (manager) => {
    const views = await manager.call('runs', {}).catch(() => []);
    return views.filter(({ state }) => state !== 'ended').map((view) => ({ manager, view }));
  });
  return (await Promise.all(found)).flat();
}

/** @throws OpencodeManagerError `QUEUE_UNSUITED` for what only the process of a run can do */
export function refuseQueue({ queue }: QueueFlags, command: string, instead: string): void {
  if (queue === undefined) return;
  throw new OpencodeManagerError('QUEUE_UNSUITED', `ocm ${command} cannot be had with --queue: no process has the whole run; ${instead}.`);
}
