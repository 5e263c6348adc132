import type { OpencodeServer } from '@opencode-manager/core';
import { OpencodeManagerError, toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import { createMessageIds } from '@opencode-manager/core/protocol';
import type { EventMonitor } from '@opencode-manager/events';
import { createActor, type ActorRefFrom, type SnapshotFrom } from 'xstate';
import { defaultSessionLimits, has, isRateLimit, poolMachine, type LostTask } from '../machines/index.ts';
import type { ServerPort, StreamPort } from '../ports/index.ts';
import { isPassing } from '../session/refusals.ts';
import type { SessionHost } from '../session/session-host.ts';
import { parseTask } from '../task/schema.ts';
import type { Outcome, Task, TaskResult } from '../task/types.ts';
import { PoolEvents } from './pool-events.ts';
import { abortedBeforeStart, abortedMeanwhile, stoppedError } from './pool-errors.ts';
import { PoolServers } from './pool-servers.ts';
import { poolSnapshotOf } from './pool-snapshot.ts';
import { DirectoryUse } from './directory-use.ts';
import { createPooledSession } from './pooled-session.ts';
import { runAll } from './run-all.ts';
import { SessionKeeper } from './session-keeper.ts';
import type { PoolDependencies, PoolSettings } from './settings.ts';
import type { AbortSource } from './shared-signal.ts';
import { TaskIds } from './task-ids.ts';
import { createTaskRun, type TaskRun } from './task-run.ts';
import { TaskTurns } from './task-turns.ts';
import type { PooledSession, PoolEvent, PoolEventStream, PoolEventType, PoolSnapshot, SessionPool } from './types.ts';

export interface PoolParts {
  readonly server: ServerPort;
  readonly stream: StreamPort;
  readonly settings: PoolSettings;
  readonly dependencies: PoolDependencies;
  /** What the pool opened itself, and closes. */
  readonly owned: AsyncDisposableStack;
}

interface RunOptions {
  readonly signal?: AbortSource | undefined;
}

type PoolState = PoolSnapshot['state'];

/**
 * The host of the pool actor: it carries out what the actor decides (which task starts when, which is lost) and tells
 * it what came of it. See {@link SessionPool}.
 */
export class Pool implements SessionPool {
  readonly #settings: PoolSettings;
  readonly #dependencies: PoolDependencies;
  readonly #owned: AsyncDisposableStack;
  readonly #events: PoolEvents;
  readonly #keeper: SessionKeeper;
  readonly #actor: ActorRefFrom<typeof poolMachine>;
  readonly #servers: PoolServers;
  readonly #directories: DirectoryUse;
  readonly #turns: TaskTurns;
  readonly #runs = new Map<string, TaskRun>();
  readonly #ids = new TaskIds();
  #state: PoolState = 'starting';
  #takesWork = true;
  /** Settled when the state is another than `recovering`. */
  #recovery = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;

  constructor({ server, stream, settings, dependencies, owned }: PoolParts) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#owned = owned;
    this.#events = new PoolEvents(() => Math.floor(dependencies.clock.now()));
    this.#keeper = new SessionKeeper({
      servers: () => this.#servers.keeper,
      settings,
      dependencies,
      onRetry: (retry) => this.#pause(retry.nextAtMs, isRateLimit(retry.message)),
      onRest: (host, quarantined) => this.#servers.onRest(host, quarantined),
      onChange: (session, from) => this.#events.emit({ type: 'session.changed', session, from }),
    });
    this.#actor = this.#startActor();
    this.#servers = new PoolServers({
      server,
      streamPort: stream,
      settings,
      dependencies,
      actor: this.#actor,
      sessions: this.#keeper,
      events: this.#events,
      isStopping: () => this.#stopping !== undefined,
    });
    this.#directories = new DirectoryUse({ server: () => this.#servers.keeper.server, maxIdle: settings.maxIdleDirectories });
    this.#turns = new TaskTurns({
      servers: this.#servers.keeper,
      sessions: this.#keeper,
      directories: this.#directories,
      settings,
      messageIds: createMessageIds({ now: () => Math.floor(dependencies.clock.now()), random: dependencies.random }),
      now: () => dependencies.clock.now(),
      onStarted: ({ id, attempt }, { id: sessionId, directory }) =>
        this.#events.emit({ type: 'task.started', taskId: id, sessionId, directory, attempt }),
    });
    this.#actor.send({ type: 'pool.ready' });
  }

  get server(): OpencodeServer {
    return this.#servers.keeper.server.handle;
  }

  serverOf(sessionId: string): OpencodeServer {
    return (this.#keeper.registry.get(sessionId)?.server ?? this.#servers.keeper.server).handle;
  }

  get monitor(): EventMonitor {
    return this.#servers.keeper.stream.handle;
  }

  get events(): PoolEventStream {
    return this.#servers.stream;
  }

  async run(task: Task, options: RunOptions = {}): Promise<TaskResult> {
    return this.submit(task, options).settled.promise;
  }

  /** Queues a task. @throws `TASK_INVALID`, `TASK_DUPLICATE`, `POOL_STOPPED` */
  submit(task: Task, { signal }: RunOptions, bound?: SessionHost): TaskRun {
    parseTask(task);
    this.#assertRunning();
    const run = this.#createRun(task, bound);
    if (signal?.aborted) this.#finishWithout(run, 'aborted', abortedBeforeStart(), false);
    else this.#enqueue(run, signal);
    return run;
  }

  runAll(tasks: Iterable<Task> | AsyncIterable<Task>, options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<TaskResult> {
    return runAll(async (task, signal) => this.submit(task, { signal }).settled.promise, tasks, this.#settings.maxSessions, options.signal);
  }

  async createSession(
    title?: string,
    { directory = this.#servers.keeper.server.directory }: { readonly directory?: string } = {},
  ): Promise<PooledSession> {
    while (this.#state === 'recovering') await this.#recovery.promise;
    this.#assertRunning();
    const place = await this.#servers.keeper.server.checkDirectory(directory);
    await this.#directories.enter(place);
    try {
      return this.#lend(await this.#keeper.create(place, title));
    } finally {
      this.#directories.leave(place);
    }
  }

  getIdleSession(wanted: { readonly directory?: string; readonly id?: string } = {}): PooledSession | undefined {
    const host = this.#keeper.findIdle(wanted);
    return host && this.#lend(host);
  }

  cleanupDeadSessions(): Promise<number> {
    return this.#keeper.cleanupDead();
  }

  snapshot(): PoolSnapshot {
    const sessions = this.#keeper.registry.all().map((host) => host.snapshot());
    return poolSnapshotOf(this.#actor.getSnapshot().context, { state: this.#state, sessions }, this.#servers.keeper);
  }

  on<Type extends PoolEventType | '*'>(
    type: Type,
    listener: (event: Type extends '*' ? PoolEvent : Extract<PoolEvent, { type: Type }>) => void,
  ): () => void {
    return this.#events.on(type, listener as (event: PoolEvent) => void);
  }

  rotateServer(): Promise<void> {
    this.#assertRunning();
    return this.#servers.rotate();
  }

  async drain(): Promise<void> {
    this.#takesWork = false;
    // Turns of lent sessions that wait for each other are not in the actor's queue yet.
    await Promise.all([...this.#runs.values()].filter(({ bound }) => bound).map(({ settled }) => settled.promise));
    this.#actor.send({ type: 'pool.drain' });
    await this.#untilAtRest();
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#actor.send({ type: 'pool.stop' });
    await this.#untilAtRest();
    await this.#servers.keeper.close();
    this.#servers.stream.end();
    this.#keeper.dispose();
    this.#actor.stop();
    await this.#owned.disposeAsync();
  }

  /** Resolves when no task is left: every turn has come to its end, aborted ones included. */
  async #untilAtRest(): Promise<void> {
    while (this.#runs.size > 0) await Promise.all([...this.#runs.values()].map(({ settled }) => settled.promise));
  }

  #startActor(): ActorRefFrom<typeof poolMachine> {
    const machine = poolMachine.provide({
      actions: {
        startAssigned: ({ context }) => context.assigned.forEach((id) => void this.#start(this.#runs.get(id))),
        endLost: ({ context }) => {
          for (const { taskId, reason, error } of context.lost) this.#finishLost(taskId, reason, error);
        },
        abortActive: () => this.#abortActive(),
        relaunchServer: () => void this.#servers.relaunch(),
      },
    });
    const { maxSessions, restartLimits, inspection } = this.#settings;
    const actor = createActor(machine, {
      input: { maxSessions, restartLimits },
      clock: this.#dependencies.clock,
      ...inspection(machine, 'pool'),
    });
    actor.subscribe({ next: (snapshot) => this.#onState(snapshot), error: (error) => this.#onActorError(error) });
    return actor.start();
  }

  #onState({ value }: SnapshotFrom<typeof poolMachine>): void {
    if (value === this.#state) return;
    if (value === 'recovering') this.#recovery = Promise.withResolvers();
    else this.#recovery.resolve();
    this.#state = value;
    this.#events.emit({ type: 'pool.changed', state: this.#state });
  }

  #createRun(task: Task, bound: SessionHost | undefined): TaskRun {
    const id = this.#ids.take(task.id);
    const run = createTaskRun(id, task, this.#dependencies.clock.now(), bound);
    this.#runs.set(id, run);
    return run;
  }

  #enqueue(run: TaskRun, signal: AbortSource | undefined): void {
    if (signal) {
      const onAbort = () => this.#abort(run, 'The caller aborted the task.');
      signal.addEventListener('abort', onAbort, { once: true });
      run.stopListening = () => signal.removeEventListener('abort', onAbort);
    }
    this.#events.emit({ type: 'task.queued', taskId: run.id });
    if (run.bound) void run.bound.enqueue(() => this.#queueBound(run));
    else this.#actor.send({ type: 'task.queued', ...run.place });
  }

  /** Turns of a lent session wait for each other first, then for a slot. */
  async #queueBound(run: TaskRun): Promise<void> {
    if (run.finished) return;
    if (this.#state !== 'running' && this.#state !== 'recovering') return this.#finishWithout(run, 'aborted', stoppedError(), false);
    this.#actor.send({ type: 'task.queued', ...run.place });
    await run.settled.promise;
  }

  /** Carries out the actor's decision that the task has a slot now. */
  async #start(run: TaskRun | undefined): Promise<void> {
    if (!run || run.finished) return;
    try {
      const result = await this.#turns.run(run);
      if (result) this.#finish(run, result);
      else this.#hold(run);
    } catch (error) {
      this.#onFailure(run, toManagerError(error));
    }
  }

  /** A failure that may pass is the actor's to judge (restart budget); another ends the task. */
  #onFailure(run: TaskRun, error: OpencodeManagerError): void {
    if (run.finished) return;
    const serialized = error.toJSON();
    if (this.#state === 'failed')
      return this.#finishLost(run.id, 'server_lost', this.#actor.getSnapshot().context.error ?? serialized, true);
    if (run.abortReason !== undefined) return this.#finishWithout(run, 'aborted', serialized);
    if (this.#settings.recovers && (error.code === 'SERVER_EXITED' || this.#servers.keeper.isLost)) return this.#holdUnsent(run);
    if (!isPassing(error)) return this.#finishWithout(run, 'failed', serialized);
    if (run.bound) return this.#finishWithout(run, 'interrupted', serialized);
    const jitter = 2 * this.#dependencies.random() - 1;
    this.#actor.send({ type: 'task.crashed', ...run.place, error: serialized, atMs: this.#dependencies.clock.now(), jitter });
  }

  /** The server was lost before the turn was sent: the same try goes on with the next server. */
  #holdUnsent(run: TaskRun): void {
    if (!run.interruption) run.attempt -= 1;
    this.#hold(run);
  }

  /** Keeps the task's slot for the next server. */
  #hold(run: TaskRun): void {
    if (this.#state === 'failed') return this.#finishLost(run.id, 'server_lost', this.#actor.getSnapshot().context.error, true);
    if (run.abortReason !== undefined) return this.#finishWithout(run, 'aborted', abortedMeanwhile(run.abortReason));
    this.#actor.send({ type: 'task.held', taskId: run.id });
  }

  #finishLost(taskId: string, reason: LostTask['reason'], error: SerializedError | null, holdsSlot = false): void {
    const run = this.#runs.get(taskId);
    if (!run) return;
    const outcome: Outcome = reason === 'stopped' ? 'aborted' : reason === 'server_lost' ? 'server_lost' : 'failed';
    this.#finishWithout(run, outcome, error ?? stoppedError(), holdsSlot);
  }

  #finishWithout(run: TaskRun, outcome: Outcome, error: SerializedError, holdsSlot = true): void {
    const { interruption } = run;
    const result = interruption
      ? this.#turns.endInterrupted(run, interruption, { outcome, error })
      : this.#turns.withoutTurn(run, outcome, error);
    this.#finish(run, result, holdsSlot);
  }

  /** The one place where a task ends. */
  #finish(run: TaskRun, result: TaskResult, holdsSlot = true): void {
    if (run.finished) return;
    run.finished = true;
    run.stopListening();
    this.#runs.delete(run.id);
    this.#ids.finish(run.id);
    this.#turns.leave(run);
    this.#events.emit({ type: 'task.finished', result });
    run.settled.resolve(result);
    if (result.outcome === 'quota_exhausted') this.#pause(Date.parse(result.reset_at ?? '') || 0, true);
    if (holdsSlot) this.#actor.send({ type: 'slot.freed', taskId: run.id, outcome: result.outcome });
  }

  #abort(run: TaskRun, reason: string): void {
    if (run.finished) return;
    if (this.#abortStarted(run, reason)) return;
    // Without effect on a task that has its slot already: its start looks at the reason.
    const { finished } = this.#actor.getSnapshot().context;
    this.#actor.send({ type: 'task.cancelled', ...run.place });
    const wasWaiting =
      this.#actor.getSnapshot().context.finished > finished || (run.bound !== undefined && run.attempt === 0 && !this.#holdsSlot(run));
    if (wasWaiting) this.#finishWithout(run, 'aborted', abortedBeforeStart(), false);
  }

  #holdsSlot({ id }: TaskRun): boolean {
    return has(this.#actor.getSnapshot().context.holders, id);
  }

  #abortActive(): void {
    for (const run of this.#runs.values()) this.#abortStarted(run, 'The pool was stopped.');
  }

  /** Aborts the turn, or the calls before it; false when the task has no turn yet. */
  #abortStarted(run: TaskRun, reason: string): boolean {
    run.abortReason ??= reason;
    run.calls.abort(reason);
    if (run.host?.taskId !== run.id) return false;
    run.host.abort(reason);
    return true;
  }

  #lend(host: SessionHost): PooledSession {
    this.#keeper.take(host);
    host.lent = true;
    // A turn of the session waits for the directory by itself.
    void this.#directories.enter(host.directory);
    return createPooledSession({
      host,
      submit: (task, options) => this.submit(task, options, host).settled.promise,
      release: () => {
        host.lent = false;
        this.#keeper.rest(host);
        this.#directories.leave(host.directory);
      },
      forget: () => {
        this.#keeper.drop(host);
        this.#directories.leave(host.directory);
      },
    });
  }

  /** A provider that says no to one turn says it to all: new ones wait, for as long as one turn would. */
  #pause(nextAtMs: number, tooMany: boolean): void {
    const atMs = this.#dependencies.clock.now();
    const longestMs = this.#settings.limits.maxRetryWaitMs ?? defaultSessionLimits.maxRetryWaitMs;
    this.#actor.send({ type: 'provider.paused', atMs, untilMs: Math.min(nextAtMs, atMs + longestMs), isRateLimit: tooMany });
  }

  /** Cannot happen by an action of ours; if it does, no task may hang on it. */
  #onActorError(error: unknown): void {
    this.#state = 'failed';
    for (const run of this.#runs.values()) this.#finishWithout(run, 'failed', toManagerError(error).toJSON(), false);
  }

  #assertRunning(): void {
    if ((this.#state === 'running' || this.#state === 'recovering') && this.#takesWork) return;
    throw new OpencodeManagerError('POOL_STOPPED', `The pool is ${this.#takesWork ? this.#state : 'draining'} and takes no new work.`, {
      details: { state: this.#state },
    });
  }
}
