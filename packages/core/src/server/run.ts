import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import {
  abandonState,
  claimState,
  lockLife,
  lockStateDirectory,
  makeDirectories,
  type StateDirectory,
  type StateLock,
} from '../isolation/index.ts';
import { startDeadline, type Deadline } from '../process/deadline.ts';
import { startGuard, type GuardTask } from '../process/guard.ts';
import { showLife } from '../process/life.ts';
import { processOrigin } from '../process/origin.ts';
import { runDirectories, runFiles, runLife, writeRunRecord } from '../process/registry.ts';
import { processStartTime } from '../process/start-time.ts';
import type { Run } from './run-state.ts';
import { stopRun } from './stop.ts';
import type { StopReport } from './types.ts';

/** All waits of a stop together, in milliseconds. */
const stopBoundMs = 5000;

/** Of these, so many at most for the end of a start that is under way. */
const replacementMs = 700;

/**
 * Locks the state directory, starts the guard and enters the run in the ledger, before anything secret is written: whatever kills this process,
 * its guard or the next command finds what was left.
 * @throws `STATE_DIRECTORY_LOCKED`, `STATE_DIRECTORY_PROTOCOL`, `SHELL_MISSING`, `RESOURCES_EXHAUSTED`, or the system's own error; the state is as it was then
 */
export async function beginRun(state: StateDirectory, directory: string): Promise<Run> {
  const runId = randomUUID();
  const lock = await lockOrAbandon(state, runId);
  const begun = claimState(state).then(() => startGuard(guardTask(state, runId)));
  const guard = await begun.catch(async (error: unknown) => {
    await lock.release();
    await abandonState(state);
    throw error;
  });
  const fresh = { life: undefined, newest: undefined, replacing: undefined, stopped: false, stopping: undefined };
  const run: Run = { runId, state, lock, guard, incarnations: new Set(), ...fresh };
  try {
    await registerRun(run, { url: '', version: '', directory, serverPid: 0 });
    run.life = await showLife(runLife(runId));
    await makeDirectories(state);
    // A guard that removed the lock of a dead manager may have let another one in meanwhile.
    await lock.retake();
    return run;
  } catch (error) {
    await endRun(run).catch(() => undefined);
    throw error;
  }
}

async function lockOrAbandon(state: StateDirectory, runId: string): Promise<StateLock> {
  try {
    return await lockStateDirectory(state.layout.lockFile, runId);
  } catch (error) {
    await abandonState(state);
    throw error;
  }
}

function guardTask({ layout, remains }: StateDirectory, runId: string): GuardTask {
  const life = lockLife(layout.lockFile, runId);
  return {
    runId,
    ...(remains !== 'everything' && { state: { path: layout.root, remains } }),
    lockFile: layout.lockFile,
    files: [join(life.directory, life.name), ...runFiles(runId)],
    directories: runDirectories(runId),
  };
}

/** Writes what others may know of a run, first when it begins and again with each server that is ready. */
export async function registerRun(
  run: Run,
  server: { readonly url: string; readonly version: string; readonly directory: string; readonly serverPid: number },
): Promise<void> {
  await writeRunRecord({
    runId: run.runId,
    managerPid: process.pid,
    managerStartTime: (await processStartTime(process.pid)) ?? '',
    origin: await processOrigin(),
    serverStartTime: server.serverPid === 0 ? '' : ((await processStartTime(server.serverPid)) ?? ''),
    ...server,
    stateDir: run.state.layout.root,
    temporaryState: run.state.remains !== 'everything',
    ...(run.state.remains === 'database' && { keepsDatabase: true as const }),
    startedAt: new Date().toISOString(),
  });
}

/**
 * Ends the run and everything of it, once; after a failure it may be tried again: lock, record, state and guard are still there then.
 * @throws `SERVER_STOP_INCOMPLETE`
 */
export function endRun(run: Run): Promise<StopReport> {
  run.stopped = true;
  run.stopping ??= end(run, startDeadline(stopBoundMs)).catch((error: unknown) => {
    run.stopping = undefined;
    throw error;
  });
  return run.stopping;
}

async function end(run: Run, deadline: Deadline): Promise<StopReport> {
  const { replacing } = run;
  replacing?.signal.abort();
  if (replacing) await deadline.settles(replacing.settled, replacementMs);
  return stopRun(run, deadline);
}
