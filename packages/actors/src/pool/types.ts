import type { EventFilter, EventMonitor, MonitorEvent } from '@opencode-manager/events';
import type { OpencodeServer, SerializedError, ServerConfig, Session } from '@opencode-manager/core';
import type { MachineStep, RotationReason } from '../machines/index.ts';
import type { WorkspaceSource } from '../ports/index.ts';
import type { HealthCheck } from '../supervision/index.ts';
import type { PriceTable } from '../session/prices.ts';
import type { Outcome, PermissionPolicy, Task, TaskFile, TaskLimits, TaskOptions, TaskResult } from '../task/types.ts';

/** Limits that end a turn that does not end itself. */
export interface TurnLimits {
  /** Deadline of a task's turn; none when absent. */
  readonly taskTimeoutMs?: number;
  /** Limits of tasks that do not name them themselves, each for itself. */
  readonly taskLimits?: TaskLimits;
  /** What models cost, by `provider/model`, before what opencode knows of them. USD per million tokens. */
  readonly prices?: PriceTable;
  /** A busy turn without any sign of progress for this long is `stalled`. Default 300,000. */
  readonly stallTimeoutMs?: number;
  /** An ask that nobody answered for this long ends the turn as `needs_input`. Default 60,000. */
  readonly askTimeoutMs?: number;
  /** Longest wait for a provider (its `retry-after` or opencode's back-off) that is sat out. Default 120,000. */
  readonly maxRetryWaitMs?: number;
  /** Provider retries within one turn beyond which it ends. Default 5 (opencode's own limit). */
  readonly maxRetries?: number;
  /** Deadline for the confirmation of an abort. Default 5,000. */
  readonly abortTimeoutMs?: number;
  /** Completed assistant messages in a row without finish, tool or error that count as a runaway. Default 5. */
  readonly runawayEmptyMessages?: number;
  /** Identical tool calls in a row (same tool, same input) that count as a runaway. Default 20. */
  readonly runawaySameToolCalls?: number;
  /**
   * Bytes of text and reasoning (UTF-8) that a turn may say, its sub-agents included; above it the turn is aborted and fails with
   * `ANSWER_TOO_LARGE`. The server keeps several copies of an answer in memory. Default 16,000,000.
   */
  readonly maxAnswerBytes?: number;
}

export interface RestartBudget {
  /** Default 3. */
  readonly maxRestarts: number;
  /** Default 60,000. */
  readonly windowMs: number;
  /** Wait before each restart; the last value repeats. Default [100, 500, 2000], +-20 %. */
  readonly backoffMs: readonly number[];
}

export interface SessionPoolOptions extends TurnLimits {
  /** A server to use; it is not stopped with the pool. Or its configuration: the pool launches and owns it. */
  readonly server?: OpencodeServer | ServerConfig;
  /** A monitor to use; opened (and closed) by the pool when absent. It is closed too when its server was replaced. */
  readonly monitor?: EventMonitor;
  /** Turns at once. Default 6. */
  readonly maxSessions?: number;
  /** `new`: each task gets a session of its own, deleted never. `reuse`: an idle session of the directory is leased again. Default `new`. */
  readonly sessions?: 'new' | 'reuse';
  readonly permissions?: PermissionPolicy;
  /** Model of tasks that name none; the configuration's when absent. */
  readonly model?: string;
  readonly agent?: string;
  readonly restartBudget?: Partial<RestartBudget>;
  /**
   * Whether a server that is lost is started again on its state (`OpencodeServer.relaunch`), within `restartBudget`. Default:
   * true for a server that the pool launched, false for one that it was given.
   */
  readonly recovery?: boolean;
  /**
   * What becomes of a turn that broke off with its server. `retry`: the task runs again, in a fresh session; what the turn had done
   * to files stays. `fail`: it ends as `interrupted`. Default `retry`.
   */
  readonly onInterrupted?: 'retry' | 'fail';
  /**
   * Whether the pool begins a task again by itself: after the loss of its server or its session, and when a fault of the machine kept it
   * from being sent. With `false` each task has one attempt, for callers that keep account of attempts: what would be tried again ends as
   * `interrupted`, with its cause. A turn whose server was lost is still looked at, and its end taken when it has one. Default true.
   */
  readonly repeat?: boolean;
  /** When a server that runs and does not answer counts as lost, with `recovery`. Default: three probes of 5 s in a row, and no byte. */
  readonly health?: Partial<HealthCheck>;
  /**
   * When the server's process uses more resident memory than `maxBytes`, it is replaced while it runs, with `recovery`: a new
   * generation takes new turns, the old one finishes its own and ends. On by default with `recovery`; `false` turns it off.
   *
   * `maxBytes`: default 6 GB or 70 % of the memory limit (of the control group; of the machine where none is set), whichever is less, and
   * 40 MB for each directory that the server holds (its own, those in use, those of `maxIdleDirectories`); never above 85 %
   * of the limit, which is read once, when the pool is created. A number of your own counts as it is.
   *
   * Read every `checkMs` (default 5,000); a generation younger than `minAgeMs` (default 30,000) is left alone. When the next generation
   * is above the limit at that age too, `server.memory_held` says so, and none is replaced for its memory for 10 minutes. Tools
   * do not count. Measured: 380 MB idle, 420 with one directory, 500 with eight, 700 with seventeen.
   */
  readonly serverMemory?: false | { readonly maxBytes?: number; readonly checkMs?: number; readonly minAgeMs?: number };
  /**
   * Directories without a turn or a leased session that the server keeps, besides its own; those that were used longest ago are
   * given up (`OpencodeServer.disposeDirectory`), with `recovery`. For tasks that each have a worktree of their own. Default 16.
   */
  readonly maxIdleDirectories?: number;
  /**
   * Gives each attempt of a task a place of its own: its session works there, what it did is taken when its turn is over and stands in the
   * result, and the place is given back when the server has forgotten it. The source is not closed with the pool.
   */
  readonly workspaces?: WorkspaceSource;
  /** `workspace` of tasks that name none. Default: what `workspaces` chooses, `shared` without any. */
  readonly workspace?: string;
  /**
   * Hears every step of the machines of the pool, its server and its sessions, as they happen. For tools that show them: it
   * costs about 2 us a step, and must not block.
   */
  readonly inspect?: (step: MachineStep) => void;
  readonly signal?: AbortSignal;
}

export type SessionActorState = 'idle' | 'active' | 'error' | 'dead';

export interface SessionSnapshot {
  readonly sessionId: string;
  readonly directory: string;
  readonly state: SessionActorState;
  /** The whole path, for example `active.backingOff`. */
  readonly path: string;
  readonly taskId: string | null;
  readonly turns: number;
  readonly sinceMs: number;
}

/** What a provider allows. */
export interface ProviderSnapshot {
  /** Null for tasks whose provider is not known. */
  readonly id: string | null;
  /** Turns at once. */
  readonly limit: number;
  /** No new turn begins before this time, in milliseconds since the epoch; null when nothing is held back. */
  readonly heldUntilMs: number | null;
  /** How often turns were held back. */
  readonly holds: number;
}

export interface PoolSnapshot {
  readonly state: 'starting' | 'running' | 'recovering' | 'draining' | 'stopped' | 'failed';
  readonly maxSessions: number;
  readonly queued: number;
  readonly active: number;
  readonly finished: number;
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  readonly restarts: number;
  /** Servers started in place of lost ones. */
  readonly serverRestarts: number;
  /** The server over its generations: how many there were, which still finish turns, and the memory of the present one. */
  readonly server: {
    readonly state: 'starting' | 'ready' | 'rotating' | 'restarting' | 'stopped' | 'failed';
    readonly generation: number;
    readonly rotations: number;
    readonly retiring: readonly number[];
    /** Resident memory in bytes; null before the first reading. */
    readonly rssBytes: number | null;
  };
  readonly gaps: number;
  /** The provider that allows least now. */
  readonly provider: Omit<ProviderSnapshot, 'id'>;
  /** What each provider allows that the pool has worked with. */
  readonly providers: readonly ProviderSnapshot[];
  /**
   * Whether new turns wait because what all of them stand on fails (a full disk, too few descriptors): until when (milliseconds since
   * the epoch), and how often that was so.
   */
  readonly infrastructure: { readonly heldUntilMs: number | null; readonly holds: number };
  /** Why the pool has failed. */
  readonly error: SerializedError | null;
  readonly sessions: readonly SessionSnapshot[];
}

/** What happens in a pool, for progress displays and logs. `sequence` grows by one an event. */
export type PoolEvent = { readonly sequence: number; readonly atMs: number } & (
  | { readonly type: 'task.queued'; readonly taskId: string }
  | {
      readonly type: 'task.started';
      readonly taskId: string;
      readonly sessionId: string;
      readonly directory: string;
      readonly attempt: number;
    }
  /**
   * A step of a task has begun or ended, here or in a sub-agent: what its present turn has taken so far. `tokens` (uncached input, output,
   * reasoning) and `usd` (of models whose price is known) are of steps that have ended. `isLast`: with this step the turn has come to its end.
   */
  | {
      readonly type: 'task.spent';
      readonly taskId: string;
      readonly sessionId: string;
      readonly steps: number;
      readonly tokens: number;
      readonly usd: number;
      readonly isLast: boolean;
    }
  | { readonly type: 'task.finished'; readonly result: TaskResult }
  | { readonly type: 'session.changed'; readonly session: SessionSnapshot; readonly from: string }
  | { readonly type: 'pool.changed'; readonly state: PoolSnapshot['state'] }
  /** How many turns of a provider may be in flight, or until when none begins, has changed. */
  | { readonly type: 'provider.changed'; readonly provider: ProviderSnapshot }
  | { readonly type: 'stream.gap'; readonly generation: number }
  /** A server was lost, and this one has taken its place. */
  | {
      readonly type: 'server.restarted';
      readonly server: { readonly pid: number; readonly url: string; readonly version: string };
      readonly restarts: number;
    }
  /** The next generation of the server comes up beside the present one (`generation`), which still takes work. */
  | { readonly type: 'server.rotating'; readonly reason: RotationReason; readonly generation: number; readonly rssBytes?: number }
  /** It takes new turns from now on; the one before finishes its own. */
  | {
      readonly type: 'server.rotated';
      readonly server: { readonly pid: number; readonly url: string; readonly version: string };
      readonly generation: number;
    }
  /** The next generation did not come up; the present one goes on. */
  | { readonly type: 'server.rotation_failed'; readonly error: SerializedError }
  /**
   * A server was replaced for its memory, and the next one is above its limit (`maxBytes`) too: none is replaced for that before `untilMs`
   * (milliseconds since the epoch). Once in ten minutes at most.
   */
  | { readonly type: 'server.memory_held'; readonly rssBytes: number; readonly maxBytes: number; readonly untilMs: number }
  /** A generation that was replaced has finished its turns and ended. */
  | { readonly type: 'server.retired'; readonly generation: number }
);

export type PoolEventType = PoolEvent['type'];

/**
 * The events of the pool's servers as one stream: it goes on over a recovery and a rotation. Guarantees as `EventMonitor`, with
 * one `sequence` a server; while one server retires, its turns and those of the next arrive side by side.
 * @public
 */
export interface PoolEventStream {
  /** All events that match, until the consumer leaves the loop, `signal` aborts or the pool stops. @throws `POOL_STOPPED` */
  streamEvents(filter?: EventFilter, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<MonitorEvent, undefined>;
  /** Events of one session. */
  sessionEvents(sessionId: string, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<MonitorEvent, undefined>;
  /** Calls the listener for each event that matches, at once. Call the result to stop. @throws `POOL_STOPPED` */
  on(filter: EventFilter, listener: (event: MonitorEvent) => void): () => void;
}

/**
 * Runs tasks on the sessions of one server. Every slot and every decision comes from actor state.
 * @public
 */
export interface SessionPool extends AsyncDisposable {
  /** The server of the moment; another handle after a recovery or a rotation. */
  readonly server: OpencodeServer;
  /** The server that has the turns of a session: while one retires, not always the present one. */
  serverOf(sessionId: string): OpencodeServer;
  /** The event stream of the present server alone. */
  readonly monitor: EventMonitor;
  /** What all its servers tell, whichever is present. */
  readonly events: PoolEventStream;
  /** Runs one task; never rejects for what happens to the task (see `outcome`). @throws `TASK_INVALID`, `TASK_DUPLICATE`, `POOL_STOPPED` */
  run(task: Task, options?: TaskOptions): Promise<TaskResult>;
  /**
   * Runs many tasks and yields results in the order in which they finish. Takes tasks from the iterable only as slots
   * come free (back-pressure). Leaving the loop early, an abort and a stop of the pool abort what is in flight, and end the iteration
   * also while the iterable waits. @throws `TASK_INVALID` for what is no iterable, and for a task that cannot be run
   */
  runAll(tasks: Iterable<Task> | AsyncIterable<Task>, options?: TaskOptions): AsyncIterableIterator<TaskResult>;
  /** A session under an actor of this pool, held until it is released or deleted. */
  createSession(title?: string, options?: { readonly directory?: string }): Promise<PooledSession>;
  /** An idle session of this pool (of a directory, or the one with an id), leased until released; undefined when none is idle. */
  getIdleSession(options?: { readonly directory?: string; readonly id?: string }): PooledSession | undefined;
  /** Deletes sessions whose actor is dead; resolves with their number. */
  cleanupDeadSessions(): Promise<number>;
  snapshot(): PoolSnapshot;
  /**
   * Replaces the server while it runs: resolves when a new generation takes new turns. Turns in flight go on where they are.
   * @throws `CONFIG_INVALID` without `recovery`, `POOL_STOPPED`, whatever the start of a server throws (the old one goes on)
   */
  rotateServer(): Promise<void>;
  /** Listens to pool events; call the result to stop. `*` for all. */
  on<Type extends PoolEventType | '*'>(
    type: Type,
    listener: (event: Type extends '*' ? PoolEvent : Extract<PoolEvent, { type: Type }>) => void,
  ): () => void;
  /**
   * Changes how many turns run at once. With more, what waits begins; with fewer nothing is aborted: slots go as their turns end. A `runAll` under way
   * takes its tasks as it did. @throws `CONFIG_INVALID` for what is no whole number of one or more
   */
  setMaxSessions(maxSessions: number): void;
  /** Takes no new work and resolves when all that was queued has finished. */
  drain(): Promise<void>;
  /** Takes no new work, ends what is queued and in flight as `aborted`, closes what the pool owns. Idempotent. */
  stop(): Promise<void>;
}

/** Choices of one turn of a leased session. */
export interface LeasedTurnOptions extends Omit<TaskOptions, 'sent' | 'onAnswer' | 'continues' | 'keepsPlace' | 'maxRetryWaitMs'> {
  /** Deadline in milliseconds from now, the wait in the session's queue included. */
  readonly timeoutMs?: number;
  /** `provider/model` */
  readonly model?: string;
  readonly agent?: string;
}

/** Choices of one prompt of a leased session. */
export interface LeasedPromptOptions extends LeasedTurnOptions {
  /** Added to the system prompt of this turn. */
  readonly system?: string;
  readonly files?: readonly TaskFile[];
}

/**
 * A session under an actor, leased to one caller: turns pass through the pool's queue, one at a time, and through its policy and
 * limits. @public
 */
export interface PooledSession extends Omit<Session, 'prompt' | 'promptAsync' | 'executeCommand' | 'executeShell' | 'fork'> {
  run(
    task: Omit<Task, 'directory' | 'title' | 'workspace'>,
    options?: Omit<TaskOptions, 'sent' | 'continues' | 'keepsPlace'>,
  ): Promise<TaskResult>;
  prompt(text: string, options?: LeasedPromptOptions): Promise<TaskResult>;
  executeCommand(name: string, args?: string, options?: LeasedTurnOptions): Promise<TaskResult>;
  executeShell(command: string, options?: LeasedTurnOptions): Promise<TaskResult>;
  /** A new leased session with this one's history, up to a message when one is named. */
  fork(messageId?: string): Promise<PooledSession>;
  snapshot(): SessionSnapshot;
  /** Gives the session back to the pool, after what was asked of it before. Turns, changes, `abort` and `delete` are refused from then on. */
  release(): void;
}
