import type { SerializedError } from '@opencode-manager/core';
import type { Outcome } from '../task/types.ts';
import type { BucketSet } from './bucket-set.ts';
import type { InfrastructureHold } from './infrastructure-hold.ts';
import type { ProviderGates, ProviderPause } from './provider-gate.ts';
import type { Place, QueuedTask, TaskLanes } from './task-lanes.ts';

/** How often, and how fast, what was lost is tried again: tasks whose session was lost, and servers. */
export interface RestartLimits {
  readonly maxRestarts: number;
  readonly windowMs: number;
  /** Wait before each restart within the window; the last value repeats. */
  readonly backoffMs: readonly number[];
}

/**
 * What a task that holds a slot does next. `begin`: a turn in its leased session, else in one that is found for it. `judge`: read
 * what its turn left that broke off with its server. `resume`: read the end of that turn. `repeat`: send it again in its session,
 * which never had it. `retry`: a turn in a fresh session. `change`: a change of a leased session, which holds no slot.
 */
export type TaskStep = 'begin' | 'judge' | 'resume' | 'repeat' | 'retry' | 'change';

/** A step that is taken now. */
export interface Assignment {
  readonly taskId: string;
  readonly step: TaskStep;
  /** Counts the attempts of the task, from 1. */
  readonly attempt: number;
}

/** A task that is over. */
export interface EndedTask {
  readonly taskId: string;
  readonly outcome: Outcome;
  readonly error: SerializedError | null;
}

/** A task in flight, or a change under way, that is to be aborted. */
export interface AbortedTask {
  readonly taskId: string;
  readonly reason: string;
  /** Of a change: what its caller is told at once. */
  readonly error?: SerializedError;
}

/** A task that holds a slot. */
export interface Holder extends QueuedTask {
  /** What it does, or does next when its server is back. */
  readonly step: TaskStep;
  /** Its server was lost: it waits for the next one. */
  readonly held: boolean;
  /** Why it is to end as `aborted`, once somebody wished so. */
  readonly abortReason: string | null;
  /** What its turn broke off with. */
  readonly error: SerializedError | null;
}

export interface PoolContext {
  readonly maxSessions: number;
  readonly restartLimits: RestartLimits;
  /** Whether a task runs again whose turn broke off with its server. */
  readonly retriesInterrupted: boolean;
  /** Whether a task is begun again at all. */
  readonly repeats: boolean;
  /** Longest pause that one refusal of a provider brings, in milliseconds. */
  readonly longestPauseMs: number;
  /** Number of the server that takes new turns. */
  readonly generation: number;
  /** Slots go round only while it is here; `away`: one comes; `gone`: none comes. */
  readonly server: 'here' | 'away' | 'gone';
  readonly providers: ProviderGates;
  readonly infrastructure: InfrastructureHold;
  readonly waiting: TaskLanes;
  /** Tasks that wait for a slot, those behind another of their leased session included. */
  readonly queued: number;
  readonly nextOrder: number;
  /** Tasks of each leased session, oldest first; the first waits for a slot or holds one. */
  readonly lines: Readonly<Record<string, readonly QueuedTask[]>>;
  /** Leased sessions that are given back when their line is empty. */
  readonly releasing: readonly string[];
  readonly holders: BucketSet<Holder>;
  readonly active: number;
  readonly finished: number;
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  /** Restarts of tasks so far, and when those of the window were. */
  readonly restarts: number;
  readonly restartTimes: readonly number[];
  /** Tasks that wait for their restart. */
  readonly retrying: readonly QueuedTask[];
  readonly retryDelayMs: number;
  /** `drain()` was called; a recovery goes back to draining. */
  readonly draining: boolean;
  /** `stop()` was called: what is in flight is being aborted. */
  readonly stopping: boolean;
  /** Told to the host with this event: steps that are taken now. */
  readonly assigned: readonly Assignment[];
  /** Told to the host with this event: tasks that are over. */
  readonly ended: readonly EndedTask[];
  /** Told to the host with this event: tasks in flight that are to be aborted. */
  readonly aborting: readonly AbortedTask[];
  /** Told to the host with this event: leased sessions that come back. */
  readonly returned: readonly string[];
  readonly error: SerializedError | null;
}

export interface PoolInput {
  readonly maxSessions?: number;
  readonly restartLimits?: Partial<RestartLimits>;
  readonly retriesInterrupted?: boolean;
  readonly repeats?: boolean;
  readonly longestPauseMs?: number;
}

interface At {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** A fact about an attempt of a task. `jitter` is in [-1, 1]. */
interface AttemptFact extends At {
  readonly taskId: string;
  readonly jitter: number;
  /** Number of the server that the attempt was on; the present one when absent. */
  readonly generation?: number;
}

/** How a turn ended, as its session says. */
export interface TurnEnd extends AttemptFact {
  readonly outcome: Outcome;
  readonly error: SerializedError | null;
  /** The server may still work on it. */
  readonly quarantined: boolean;
  /** False when the server certainly never had it. */
  readonly sent: boolean;
  /** When a spent quota is free again. */
  readonly resetAtMs: number | null;
  /** Why what it did could not be taken out of its workspace. */
  readonly notTaken?: SerializedError;
}

/** Everything the pool machine reacts to. */
export type PoolMachineEvent =
  | { readonly type: 'pool.ready' }
  /** `timeoutMs`: a deadline that counts from now, the wait included. */
  | ({ readonly type: 'task.queued'; readonly timeoutMs?: number } & Place)
  | ({ readonly type: 'task.cancelled'; readonly reason?: string; readonly withinMs?: number } & Pick<
      Place,
      'taskId' | 'priority' | 'group' | 'sessionId'
    >)
  /** Raised by the machine itself: the deadline of a task or change passed, which may still wait. */
  | ({ readonly type: 'task.overdue'; readonly timeoutMs: number } & Pick<Place, 'taskId' | 'priority' | 'group' | 'sessionId'>)
  | ({ readonly type: 'turn.ended' } & TurnEnd)
  /** What went wrong before a turn was sent. */
  | ({ readonly type: 'attempt.failed'; readonly error: SerializedError } & AttemptFact)
  /** What became of a turn whose server was lost. */
  | ({ readonly type: 'turn.judged'; readonly fate: 'finished' | 'interrupted' | 'never_started' } & Pick<AttemptFact, 'taskId'>)
  /** A change of a leased session is over. */
  | { readonly type: 'change.ended'; readonly taskId: string; readonly sessionId: string }
  /** The holder of a leased session wants no more of it. */
  | { readonly type: 'session.released'; readonly sessionId: string }
  /** A leased session is dead: its turn ends by itself, and none of its tasks runs any more. */
  | { readonly type: 'session.died'; readonly sessionId: string }
  /** A leased session is deleted: its turn is aborted, and none of its tasks runs any more. */
  | { readonly type: 'session.ended'; readonly sessionId: string; readonly reason: string; readonly withinMs?: number }
  /** Raised by the machine itself. */
  | { readonly type: 'retry.due'; readonly taskId: string }
  /** opencode waits for the provider. Without an id it is the one of the task. */
  | ({ readonly type: 'provider.paused'; readonly provider: string | null; readonly taskId?: string } & ProviderPause)
  /** Raised by the machine itself when the first pause is over. */
  | ({ readonly type: 'hold.over' } & At)
  /** More or fewer slots. What holds one keeps it. */
  | { readonly type: 'slots.changed'; readonly maxSessions: number }
  | { readonly type: 'pool.drain' }
  | { readonly type: 'pool.stop' }
  /** Raised by the machine itself: the aborts of a stop have had their time. */
  | { readonly type: 'stop.overdue' }
  /** The server is gone or of no use, and another one is started. */
  | { readonly type: 'server.away'; readonly error: SerializedError }
  /** The next server answers, and its events arrive. */
  | { readonly type: 'server.recovered'; readonly generation?: number }
  /** The next server takes new turns; the one before goes on with its own. */
  | { readonly type: 'server.rotated'; readonly generation: number }
  /** The server is gone, and none comes after it. */
  | { readonly type: 'server.exited'; readonly error: SerializedError };
