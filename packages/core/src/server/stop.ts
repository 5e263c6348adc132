import { rm } from 'node:fs/promises';
import { OpencodeManagerError } from '../errors/index.ts';
import { deleteState, holderOf, reduceToDatabase } from '../isolation/index.ts';
import { startDeadline, type Deadline } from '../process/deadline.ts';
import { removeRunRecord } from '../process/registry.ts';
import { runMark, serverMark, sweepProcesses, type MarkedProcess } from '../process/table.ts';
import { isPortFree } from './port.ts';
import type { Incarnation, Run } from './run-state.ts';
import type { StopReport } from './types.ts';

/** Longest wait of each rung, in milliseconds; the deadline of the whole stop holds as well. */
const waits = { dispose: 1500, terminate: 1000, kill: 800, sweep: 1000 } as const;

/** Bound of the end of one incarnation while the run goes on, in milliseconds. */
const incarnationMs = 5000;

type EndedBy = StopReport['endedBy'];

/**
 * Ends a run, whatever state it is in: dispose request, or the end of its standard input (turns are aborted and tools killed in an orderly way), SIGTERM,
 * SIGKILL, sweep by run marker (tools lead sessions of their own: a group kill misses them), then verifies. Only then the evidence goes: the
 * state with its lock, the record, and last the guard, which would go on here if this process were killed.
 * @throws `SERVER_STOP_INCOMPLETE` when something is still there; the evidence is too
 */
export async function stopRun(run: Run, deadline: Deadline): Promise<StopReport> {
  const startedAtMs = performance.now();
  const incarnations = [...run.incarnations];
  const ways = await Promise.all(incarnations.map((incarnation) => endProcess(incarnation, deadline)));
  const { swept, left } = await sweepProcesses(runMark(run.runId), deadline.remainingMs(waits.sweep));
  await deadline.settles(Promise.all(incarnations.map(async ({ client }) => client?.close())));
  const taken = left.length > 0 ? undefined : await takenPort(incarnations);
  if (left.length > 0 || taken !== undefined) throw stillThere(left, taken);
  const stateDeleted = await removeEvidence(run);
  await run.guard.dismiss(deadline);
  const endedBy = ladder.findLast((way) => ways.includes(way)) ?? 'already-gone';
  return { durationMs: Math.round(performance.now() - startedAtMs), endedBy, sweptProcesses: swept, portFree: true, stateDeleted };
}

/** From the gentlest to the last. */
const ladder: readonly EndedBy[] = ['already-gone', 'dispose', 'SIGTERM', 'SIGKILL'];

/** Ends one incarnation and its tools; the run goes on. @throws `SERVER_STOP_INCOMPLETE` */
export async function endIncarnation(run: Run, incarnation: Incarnation): Promise<void> {
  const deadline = startDeadline(incarnationMs);
  await endProcess(incarnation, deadline);
  await clearIncarnation(run, incarnation, deadline);
}

/** Removes what an incarnation left that has ended, or is killed here. @throws `SERVER_STOP_INCOMPLETE` */
export async function clearIncarnation(run: Run, incarnation: Incarnation, deadline = startDeadline(incarnationMs)): Promise<void> {
  const { process: server, client, serverId } = incarnation;
  server.expectExit();
  server.signal('SIGKILL');
  const [{ left }] = await Promise.all([
    sweepProcesses(serverMark(serverId), deadline.remainingMs(2 * waits.sweep)),
    deadline.settles(server.exited),
  ]);
  await deadline.settles(Promise.resolve(client?.close()));
  if (left.length > 0) throw stillThere(left, undefined);
  run.incarnations.delete(incarnation);
}

async function endProcess({ process: server, protocol, client }: Incarnation, deadline: Deadline): Promise<EndedBy> {
  if (server.exit()) return 'already-gone';
  server.expectExit();
  // A dispose answers only when all turns are aborted; a server that is wedged never answers.
  const timeoutMs = Math.max(1, deadline.remainingMs(waits.dispose));
  const request = protocol.process.end();
  const disposed =
    request &&
    (await client?.call(request, { timeoutMs }).then(
      () => true,
      () => false,
    ));
  if (server.endInput() && (await deadline.settles(server.exited, waits.dispose))) return 'dispose';
  server.signal('SIGTERM');
  if (await deadline.settles(server.exited, waits.terminate)) return disposed ? 'dispose' : 'SIGTERM';
  server.signal('SIGKILL');
  await deadline.settles(server.exited, waits.kill);
  return 'SIGKILL';
}

async function takenPort(incarnations: readonly Incarnation[]): Promise<number | undefined> {
  for (const { hostname, port } of incarnations) {
    // Where it cannot be told, the processes that held it are gone at least.
    if (!(await isPortFree(hostname, port).catch(() => true))) return port;
  }
  return undefined;
}

async function removeEvidence({ state, lock, life, runId }: Run): Promise<boolean> {
  try {
    const holder = await holderOf(state.layout.lockFile);
    // Of several starts at once another one may have got the directory.
    const ours = holder === undefined || holder === runId;
    const deleted = ours && state.remains === 'nothing' && (await deleteState(state.layout.root));
    if (ours && state.remains === 'database') await reduceToDatabase(state.layout.root);
    // opencode leaves files there that its next start does not use again; keys stand in the configuration, which each start writes anew.
    if (ours && state.remains === 'everything')
      for (const path of [state.layout.tmp, state.layout.configFile, state.layout.directoryConfigFile])
        await rm(path, { recursive: true, force: true });
    await lock.release();
    await life?.close();
    await removeRunRecord(runId);
    return deleted;
  } catch (error) {
    throw new OpencodeManagerError(
      'SERVER_STOP_INCOMPLETE',
      `After the stop ${state.layout.root} could not be cleaned up (${(error as NodeJS.ErrnoException).code}). Remove it with: ocm doctor --reap`,
      { details: { stateDir: state.layout.root }, cause: error },
    );
  }
}

/** The error that names what should be gone. */
function stillThere(left: readonly MarkedProcess[], port: number | undefined): OpencodeManagerError {
  const what =
    left.length > 0 ? `processes ${left.map(({ pid, command }) => `${pid} (${command.slice(0, 60)})`).join(', ')}` : `port ${port}`;
  return new OpencodeManagerError('SERVER_STOP_INCOMPLETE', `After the stop there was still: ${what}. End it by hand.`, {
    details: { pids: left.map(({ pid }) => pid), port },
  });
}
