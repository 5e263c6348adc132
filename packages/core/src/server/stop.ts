import { rm } from 'node:fs/promises';
import { OpencodeManagerError } from '../errors/index.ts';
import type { HttpClient } from '../http/index.ts';
import type { StateDirectory, StateLock } from '../isolation/index.ts';
import type { Guard } from '../process/guard.ts';
import { removeRunRecord } from '../process/registry.ts';
import { sweepMarkedProcesses, type MarkedProcess } from '../process/table.ts';
import { requests } from '../protocol/index.ts';
import { isPortFree } from './port.ts';
import type { ServerProcess } from './server-process.ts';
import type { StopReport } from './types.ts';

/** Everything that one run holds and that goes when it ends. */
export interface RunResources {
  readonly runId: string;
  readonly state: StateDirectory;
  readonly lock: StateLock;
  readonly guard: Guard;
  readonly server?: { readonly process: ServerProcess; readonly hostname: string; readonly port: number };
  readonly client?: HttpClient;
}

/** Waits of the ladder, in milliseconds; together they stay below five seconds. */
const waits = { dispose: 1500, terminate: 1000, kill: 800, sweep: 1000 } as const;

/**
 * Ends a run, whatever state it is in: dispose request (turns are aborted and tools killed in an orderly way), SIGTERM,
 * SIGKILL, sweep by run marker (tools lead sessions of their own: a group kill misses them), then verifies and removes.
 * @throws `SERVER_STOP_INCOMPLETE` when something is still there
 */
export async function stopRun(resources: RunResources): Promise<StopReport> {
  const startedAtMs = performance.now();
  const endedBy = await endServer(resources);
  const { swept, left } = await sweepMarkedProcesses(resources.runId, waits.sweep);
  await resources.client?.close();
  const stateDeleted = await removeState(resources);
  const { server } = resources;
  const portFree = server === undefined || (await isPortFree(server.hostname, server.port));
  await resources.guard.dismiss();
  if (left.length > 0 || !portFree) throw stillThere(left, portFree ? undefined : server.port);
  return { durationMs: Math.round(performance.now() - startedAtMs), endedBy, sweptProcesses: swept, portFree, stateDeleted };
}

async function endServer({ server, client }: RunResources): Promise<StopReport['endedBy']> {
  if (server === undefined || server.process.exit()) return 'already-gone';
  server.process.expectExit();
  // A dispose answers only when all turns are aborted; a server that is wedged never answers.
  const disposed = await client?.call(requests.disposeAll(), { timeoutMs: waits.dispose }).then(
    () => true,
    () => false,
  );
  server.process.signal('SIGTERM');
  if (await endsWithin(server.process, waits.terminate)) return disposed ? 'dispose' : 'SIGTERM';
  server.process.signal('SIGKILL');
  await endsWithin(server.process, waits.kill);
  return 'SIGKILL';
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

async function removeState({ state, lock, runId }: RunResources): Promise<boolean> {
  await lock.release();
  if (state.temporary) await rm(state.layout.root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  // opencode leaves files there that its next start does not use again.
  else await rm(state.layout.tmp, { recursive: true, force: true });
  await removeRunRecord(runId);
  return state.temporary;
}

/** The error that names what should be gone. */
export function stillThere(left: readonly MarkedProcess[], port: number | undefined): OpencodeManagerError {
  const what =
    left.length > 0 ? `processes ${left.map(({ pid, command }) => `${pid} (${command.slice(0, 60)})`).join(', ')}` : `port ${port}`;
  return new OpencodeManagerError('SERVER_STOP_INCOMPLETE', `After the stop there was still: ${what}. End it by hand.`, {
    details: { pids: left.map(({ pid }) => pid), port },
  });
}
