import type { SerializedError } from '@opencode-manager/core';
import type { Outcome } from '../task/types.ts';
import type { BucketSet } from './bucket-set.ts';
import type { ProviderGate, ProviderPause } from './provider-gate.ts';
import type { Place, TaskLanes } from './task-lanes.ts';

/** How often, and how fast, a task whose session was lost is tried again on a fresh one. */
export interface RestartLimits {
  readonly maxRestarts: number;
  readonly windowMs: number;
  /** Wait before each restart within the window; the last value repeats. */
  readonly backoffMs: readonly number[];
}

/** A task that was told to the host, or is to be told. */
export interface LostTask {
  readonly taskId: string;
  readonly reason: 'stopped' | 'server_lost' | 'budget_spent';
  readonly error: SerializedError | null;
}

export interface PoolContext {
  readonly maxSessions: number;
  readonly restartLimits: RestartLimits;
  readonly provider: ProviderGate;
  readonly waiting: TaskLanes;
  readonly queued: number;
  /** Tasks that hold a slot. */
  readonly holders: BucketSet;
  readonly active: number;
  readonly finished: number;
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  /** Restarts so far, and when those of the window were. */
  readonly restarts: number;
  readonly restartTimes: readonly number[];
  /** Tasks that wait for their restart. */
  readonly retrying: readonly Place[];
  readonly retryDelayMs: number;
  /** Tasks whose server was lost under them: they keep their slot, and go on with the next server. */
  readonly held: readonly string[];
  /** Servers started in place of one that was lost, and when those of the window were. */
  readonly serverRestarts: number;
  readonly serverRestartTimes: readonly number[];
  readonly recoveryDelayMs: number;
  /** `drain()` was called; a recovery goes back to draining. */
  readonly draining: boolean;
  /** Told to the host with this event: tasks that get their slot now. */
  readonly assigned: readonly string[];
  /** Told to the host with this event: tasks that will not run any more. */
  readonly lost: readonly LostTask[];
  /** `stop()` was called: what is in flight is being aborted. */
  readonly stopping: boolean;
  readonly error: SerializedError | null;
}

export interface PoolInput {
  readonly maxSessions?: number;
  readonly restartLimits?: Partial<RestartLimits>;
}

/** When a server was lost that may be started again. `jitter` is in [-1, 1]. */
export interface LossOfServer {
  readonly atMs: number;
  readonly jitter: number;
}

/** Everything the pool machine reacts to. */
export type PoolMachineEvent =
  | { readonly type: 'pool.ready' }
  | ({ readonly type: 'task.queued' } & Place)
  | ({ readonly type: 'task.cancelled' } & Place)
  /** A session actor came to rest after the task's turn (or the task ended before it got one). */
  | { readonly type: 'slot.freed'; readonly taskId: string; readonly outcome: Outcome }
  /** The task's session was lost without an outcome: try again on a fresh one. `jitter` is in [-1, 1]. */
  | ({ readonly type: 'task.crashed'; readonly error: SerializedError; readonly atMs: number; readonly jitter: number } & Place)
  | ({ readonly type: 'retry.due' } & Place)
  /** The provider refused a turn, or opencode waits for it. */
  | ({ readonly type: 'provider.paused' } & ProviderPause)
  /** Raised by the machine itself when the pause is over. */
  | { readonly type: 'provider.resumed' }
  | { readonly type: 'pool.drain' }
  | { readonly type: 'pool.stop' }
  /** The server is gone or of no use. Without `recovery` it is not started again. */
  | { readonly type: 'server.exited'; readonly error: SerializedError; readonly recovery?: LossOfServer }
  /** The server was lost under a task that holds a slot: it goes on when there is a server. */
  | { readonly type: 'task.held'; readonly taskId: string }
  /** The next server answers, and its events arrive. */
  | { readonly type: 'server.recovered' };
