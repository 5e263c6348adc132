import type { HttpClient } from '../http/index.ts';
import type { StateDirectory, StateLock } from '../isolation/index.ts';
import type { Guard } from '../process/guard.ts';
import type { LifeSign } from '../process/life.ts';
import type { Protocol } from '../protocol/index.ts';
import type { ServerProcess } from './server-process.ts';
import type { StopReport } from './types.ts';

/** One process of a run's server. */
export interface Incarnation {
  /** In the environment of everything that descends from it. */
  readonly serverId: string;
  readonly protocol: Protocol;
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
  /** Beside its record. */
  life: LifeSign | undefined;
  /** Incarnations that are not cleaned up. */
  readonly incarnations: Set<Incarnation>;
  /** The one that came up last: its handle speaks for the run. */
  newest: Incarnation | undefined;
  /** The start of another incarnation; a stop ends it first. */
  replacing: { readonly signal: AbortController; readonly settled: Promise<unknown> } | undefined;
  /** Set for good with the first stop: nothing is started any more. */
  stopped: boolean;
  /** The stop under way, or the one that succeeded. */
  stopping: Promise<StopReport> | undefined;
}
