import { randomUUID } from 'node:crypto';
import type { HttpClient } from '../http/index.ts';
import { lockStateDirectory, type StateDirectory, type StateLock } from '../isolation/index.ts';
import { startGuard, type Guard } from '../process/guard.ts';
import { registryDirectory, runSocketPath } from '../process/registry.ts';
import type { ServerProcess } from './server-process.ts';
import { stopRun } from './stop.ts';
import type { StopReport } from './types.ts';

/** One process of a run's server. */
export interface Incarnation {
  /** In the environment of everything that descends from it. */
  readonly serverId: string;
  readonly process: ServerProcess;
  readonly hostname: string;
  readonly port: number;
  /** Absent until the process is ready. */
  client: HttpClient | undefined;
  retiring: Promise<void> | undefined;
}

/**
 * One hold of a state directory, from its lock to its end. Its server may have several incarnations, one after the other,
 * or two at a time while one takes over from the other.
 */
export interface Run {
  readonly runId: string;
  readonly state: StateDirectory;
  readonly lock: StateLock;
  readonly guard: Guard;
  /** Incarnations that are not cleaned up. */
  readonly incarnations: Set<Incarnation>;
  /** The one that came up last: its handle speaks for the run. */
  newest: Incarnation | undefined;
  /** The start of another incarnation; a stop ends it first. */
  replacing: { readonly signal: AbortController; readonly settled: Promise<unknown> } | undefined;
  stopping: Promise<StopReport> | undefined;
}

/** Locks the state directory and starts the guard. @throws `STATE_DIRECTORY_LOCKED` */
export async function beginRun(state: StateDirectory): Promise<Run> {
  const runId = randomUUID();
  const lock = await lockStateDirectory(state.layout.lockFile, runId);
  const registry = registryDirectory();
  const guard = startGuard({
    runId,
    ...(state.temporary && { temporaryState: state.layout.root }),
    files: [state.layout.lockFile, `${registry}/${runId}.json`, runSocketPath(runId)],
    registry,
  });
  return { runId, state, lock, guard, incarnations: new Set(), newest: undefined, replacing: undefined, stopping: undefined };
}

/** Ends the run and everything of it, once. @throws `SERVER_STOP_INCOMPLETE` */
export function endRun(run: Run): Promise<StopReport> {
  run.stopping ??= endReplacement(run).then(() => stopRun(run));
  return run.stopping;
}

async function endReplacement({ replacing }: Run): Promise<void> {
  replacing?.signal.abort();
  await replacing?.settled;
}
