import { rm } from 'node:fs/promises';
import { OpencodeManagerError } from '../errors/index.ts';
import { removeRunRecord } from '../process/registry.ts';
import { runMark, serverMark, sweepProcesses, type MarkedProcess } from '../process/table.ts';
import { requests } from '../protocol/index.ts';
import { isPortFree } from './port.ts';
import type { Incarnation, Run } from './run.ts';
import type { ServerProcess } from './server-process.ts';
import type { StopReport } from './types.ts';

/** Waits of the ladder, in milliseconds; together they stay below five seconds. */
const waits = { dispose: 1500, terminate: 1000, kill: 800, sweep: 1000 } as const;

type EndedBy = StopReport['endedBy'];

/**
 * Ends a run, whatever state it is in: dispose request (turns are aborted and tools killed in an orderly way), SIGTERM,
 * SIGKILL, sweep by run marker (tools lead sessions of their own: a group kill misses them), then verifies and removes.
 * @throws `SERVER_STOP_INCOMPLETE` when something is still there
 */
export async function stopRun(run: Run): Promise<StopReport> {
  const startedAtMs = performance.now();
  const incarnations = [...run.incarnations];
  const ways = await Promise.all(incarnations.map(endProcess));
  const { swept, left } = await sweepProcesses(runMark(run.runId), waits.sweep);
  await Promise.all(incarnations.map(async ({ client }) => client?.close()));
  const stateDeleted = await removeState(run);
  const taken = await takenPort(incarnations);
  await run.guard.dismiss();
  if (left.length > 0 || taken !== undefined) throw stillThere(left, taken);
  const endedBy = ladder.findLast((way) => ways.includes(way)) ?? 'already-gone';
  return { durationMs: Math.round(performance.now() - startedAtMs), endedBy, sweptProcesses: swept, portFree: true, stateDeleted };
}

/** From the gentlest to the last. */
const ladder: readonly EndedBy[] = ['already-gone', 'dispose', 'SIGTERM', 'SIGKILL'];

/** Ends one incarnation and its tools; the run goes on. @throws `SERVER_STOP_INCOMPLETE` */
export async function endIncarnation(run: Run, incarnation: Incarnation): Promise<void> {
  await endProcess(incarnation);
  await clearIncarnation(run, incarnation);
}

/** Removes what an incarnation left that has ended, or is killed here. @throws `SERVER_STOP_INCOMPLETE` */
export async function clearIncarnation(run: Run, incarnation: Incarnation): Promise<void> {
  incarnation.process.expectExit();
  incarnation.process.signal('SIGKILL');
  await incarnation.process.exited;
  await incarnation.client?.close();
  const { left } = await sweepProcesses(serverMark(incarnation.serverId), 2 * waits.sweep);
  if (left.length > 0) throw stillThere(left, undefined);
  run.incarnations.delete(incarnation);
}

async function endProcess({ process: server, client }: Incarnation): Promise<EndedBy> {
  if (server.exit()) return 'already-gone';
  server.expectExit();
  // A dispose answers only when all turns are aborted; a server that is wedged never answers.
  const disposed = await client?.call(requests.disposeAll(), { timeoutMs: waits.dispose }).then(
    () => true,
    () => false,
  );
  server.signal('SIGTERM');
  if (await endsWithin(server, waits.terminate)) return disposed ? 'dispose' : 'SIGTERM';
  server.signal('SIGKILL');
  await endsWithin(server, waits.kill);
  return 'SIGKILL';
}

async function takenPort(incarnations: readonly Incarnation[]): Promise<number | undefined> {
  for (const { hostname, port } of incarnations) if (!(await isPortFree(hostname, port))) return port;
  return undefined;
}

async function endsWithin(server: ServerProcess, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  try {
    return await Promise.race([server.exited.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function removeState({ state, lock, runId }: Run): Promise<boolean> {
  await lock.release();
  if (state.temporary) await rm(state.layout.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  // opencode leaves files there that its next start does not use again.
  else await rm(state.layout.tmp, { recursive: true, force: true });
  await removeRunRecord(runId);
  return state.temporary;
}

/** The error that names what should be gone. */
function stillThere(left: readonly MarkedProcess[], port: number | undefined): OpencodeManagerError {
  const what =
    left.length > 0 ? `processes ${left.map(({ pid, command }) => `${pid} (${command.slice(0, 60)})`).join(', ')}` : `port ${port}`;
  return new OpencodeManagerError('SERVER_STOP_INCOMPLETE', `After the stop there was still: ${what}. End it by hand.`, {
    details: { pids: left.map(({ pid }) => pid), port },
  });
}
