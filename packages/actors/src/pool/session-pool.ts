import type { CallOptions, OpencodeServer } from '@opencode-manager/core';
import { assertKnownNames, OpencodeManagerError, toManagerError } from '@opencode-manager/core/errors';
import { createMessageIds } from '@opencode-manager/core/protocol';
import type { EventMonitor } from '@opencode-manager/events';
import { createActor, type SnapshotFrom } from 'xstate';
import {
  defaultSessionLimits,
  poolMachine,
  type AbortedTask,
  type Assignment,
  type EndedTask,
  type PoolContext,
} from '../machines/index.ts';
import type { ServerPort, StreamPort } from '../ports/index.ts';
import type { SessionHost } from '../session/session-host.ts';
import { ServerSupervisor } from '../supervision/index.ts';
import { createLiveTask, type LiveTask } from '../task/live-task.ts';
import { TaskIds } from '../task/task-ids.ts';
import { resultOf } from '../task/task-result.ts';
import { TaskSteps } from '../task/task-steps.ts';
import { TaskWorkspaces } from '../task/task-workspaces.ts';
import type { Task, TaskOptions, TaskResult } from '../task/types.ts';
import { DirectoryUse } from './directory-use.ts';
import { createLeasedSession } from './leased-session.ts';
import { Leases } from './leases.ts';
import type { Owned } from './owned.ts';
import { PoolEvents } from './pool-events.ts';
import { poolSnapshotOf } from './pool-snapshot.ts';
import { PoolStream } from './pool-stream.ts';
import { rotation } from './rotation.ts';
import { runAll } from './run-all.ts';
import { abortedAtOnce, checkSubmission } from './submission.ts';
import { SessionStore } from './session-store.ts';
import { assertMaxSessions, type PoolDependencies, type PoolSettings } from './settings.ts';
import type { PooledSession, PoolEvent, PoolEventStream, PoolEventType, PoolSnapshot, SessionPool } from './types.ts';
import { tell, type PoolActor } from './tell.ts';
import { wire } from './wire.ts';

export interface PoolParts {
  readonly server: ServerPort;
  readonly stream: StreamPort;
  readonly settings: PoolSettings;
  readonly dependencies: PoolDependencies;
  /** What the pool opened itself, and closes. */
  readonly owned: Owned;
}

/**
 * The host of the pool actor: it carries out what the actor decides (which task takes which step, which is over) and tells
 * it what came of it. See {@link SessionPool}.
 */
export class Pool implements SessionPool {
  readonly #settings: PoolSettings;
  readonly #dependencies: PoolDependencies;
  readonly #owned: Owned;
  readonly #events: PoolEvents;
  readonly #tasks = new Map<string, LiveTask>();
  readonly #ids = new TaskIds();
  readonly #sessions: SessionStore;
  readonly #supervisor: ServerSupervisor;
  readonly #directories: DirectoryUse;
  readonly #workspaces: TaskWorkspaces;
  readonly #steps: TaskSteps;
  readonly #stream: PoolStream;
  readonly #leases: Leases;
  readonly #actor: PoolActor;
  #stopped: Promise<void> | undefined;
  #stopListening = (): void => {};

  /** Leaves first: each part is given what it needs, and tells the others by listeners, which are set when all are there. */
  constructor({ server, stream, settings, dependencies, owned }: PoolParts) {
    const { clock, random, openStream } = dependencies;
    const streams = new Map<ServerPort, StreamPort>();
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#owned = owned;
    this.#events = new PoolEvents(() => Math.floor(clock.now()));
    this.#sessions = new SessionStore({ settings, dependencies, streams });
    const liveDirectories = () => this.#directories.size;
    this.#supervisor = new ServerSupervisor({ ...settings, server, stream, openStream, clock, random, streams, liveDirectories });
    this.#stream = new PoolStream(() => this.#supervisor.streams.map(({ handle }) => handle));
    this.#directories = new DirectoryUse({ server: () => this.#supervisor.server, maxIdle: settings.maxIdleDirectories });
    this.#workspaces = new TaskWorkspaces({ directories: this.#directories, settings });
    this.#steps = new TaskSteps({
      supervisor: this.#supervisor,
      sessions: this.#sessions,
      directories: this.#directories,
      workspaces: this.#workspaces,
      settings,
      messageIds: createMessageIds({ now: () => Math.floor(clock.now()), random }),
      clock,
      random,
      onStarted: ({ id, attempt }, { id: sessionId, directory }) =>
        this.#events.emit({ type: 'task.started', taskId: id, sessionId, directory, attempt }),
    });
    this.#leases = new Leases({ clock, tasks: this.#tasks, sessions: this.#sessions, directories: this.#directories });
    this.#actor = this.#createActor();
    wire({
      actor: this.#actor,
      supervisor: this.#supervisor,
      sessions: this.#sessions,
      directories: this.#directories,
      events: this.#events,
      stream: this.#stream,
      clock,
    });
    this.#actor.start();
    this.#actor.send({ type: 'pool.ready' });
  }

  get server(): OpencodeServer {
    return this.#supervisor.server.handle;
  }

  serverOf(sessionId: string): OpencodeServer {
    return (this.#sessions.registry.get(sessionId)?.server ?? this.#supervisor.server).handle;
  }

  get monitor(): EventMonitor {
    return this.#supervisor.stream.handle;
  }

  get events(): PoolEventStream {
    return this.#stream;
  }

  async run(task: Task, options: TaskOptions = {}): Promise<TaskResult> {
    return this.#submit(task, options).settled.promise;
  }

  runAll(tasks: Iterable<Task> | AsyncIterable<Task>, { signal, ...options }: TaskOptions = {}): AsyncIterableIterator<TaskResult> {
    const begin = (task: Task) => {
      const live = this.#submit(task, options);
      return { result: live.settled.promise, abort: () => this.#cancel(live) };
    };
    const onClosing = (listener: () => void) => this.#onStopping(listener);
    return runAll(begin, tasks, { slots: this.#context.maxSessions, signal, onClosing });
  }

  async createSession(title?: string, options: { readonly directory?: string } = {}): Promise<PooledSession> {
    assertKnownNames('createSession()', options, ['directory']);
    const { directory } = options;
    await this.#until(({ value }) => value !== 'recovering');
    this.#assertTakesWork();
    const { server } = this.#supervisor;
    const place = await server.checkDirectory(directory ?? server.directory);
    await this.#directories.enter(place);
    try {
      return await this.#leaseNew(await this.#sessions.create(server, place, title));
    } finally {
      this.#directories.leave(place);
    }
  }

  getIdleSession(wanted: { readonly directory?: string; readonly id?: string } = {}): PooledSession | undefined {
    assertKnownNames('getIdleSession()', wanted, ['directory', 'id']);
    const host = this.#sessions.findIdle(wanted);
    return host && this.#lease(host);
  }

  cleanupDeadSessions(): Promise<number> {
    return this.#sessions.cleanupDead();
  }

  snapshot(): PoolSnapshot {
    const sessions = this.#sessions.registry.all().map((host) => host.snapshot());
    const { value, context } = this.#actor.getSnapshot();
    return poolSnapshotOf(context, { state: value, sessions }, this.#supervisor);
  }

  on<Type extends PoolEventType | '*'>(
    type: Type,
    listener: (event: Type extends '*' ? PoolEvent : Extract<PoolEvent, { type: Type }>) => void,
  ): () => void {
    return this.#events.on(type, listener as (event: PoolEvent) => void);
  }

  async rotateServer(): Promise<void> {
    this.#assertTakesWork();
    await rotation(this.#supervisor, this.#events, this.#settings);
  }

  setMaxSessions(maxSessions: number): void {
    assertMaxSessions(maxSessions);
    tell(this.#actor, { type: 'slots.changed', maxSessions });
  }

  async drain(): Promise<void> {
    tell(this.#actor, { type: 'pool.drain' });
    await this.#untilAtRest();
    await this.#workspaces.settled();
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  /** Stops with a signal; the listener goes with the pool. */
  stopWith(signal: AbortSignal): void {
    const stop = () => void this.stop().catch(() => undefined);
    signal.addEventListener('abort', stop, { once: true });
    this.#stopListening = () => signal.removeEventListener('abort', stop);
    if (signal.aborted) stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#stopListening();
    tell(this.#actor, { type: 'pool.stop' });
    await this.#untilAtRest();
    await this.#workspaces.settled();
    await this.#supervisor.close();
    this.#stream.end();
    this.#sessions.dispose();
    this.#actor.stop();
    await this.#owned.close();
    await this.#workspaces.end();
    this.#events.clear();
  }

  /** Resolves when no task is left: every turn has come to its end, aborted ones included. */
  #untilAtRest(): Promise<unknown> {
    return this.#until(({ value, context }) => value === 'stopped' || (value === 'failed' && context.active === 0));
  }

  async #until(holds: (snapshot: SnapshotFrom<typeof poolMachine>) => boolean): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const look = (snapshot: SnapshotFrom<typeof poolMachine>) => {
      if (snapshot.status !== 'active' || holds(snapshot)) reached.resolve();
    };
    const subscription = this.#actor.subscribe({ next: look, error: () => reached.resolve(), complete: () => reached.resolve() });
    look(this.#actor.getSnapshot());
    await reached.promise;
    subscription.unsubscribe();
  }

  #onStopping(listener: () => void): () => void {
    const subscription = this.#actor.subscribe({
      next: ({ value, context }) => (context.stopping || value === 'failed') && listener(),
      error: () => {},
    });
    return () => subscription.unsubscribe();
  }

  #createActor(): PoolActor {
    const { maxSessions, restartLimits, retriesInterrupted, repeats, limits, inspection } = this.#settings;
    const machine = poolMachine.provide({
      actions: {
        startAssigned: ({ self }, { assigned }) => assigned.forEach((one) => void this.#begin(one, self as PoolActor)),
        endTasks: (_, { ended }) => ended.forEach((one) => this.#finish(one)),
        abortTurns: (_, { aborting, withinMs }) => aborting.forEach((one) => this.#abort(one, withinMs)),
        takeBack: (_, { sessionIds }) => sessionIds.forEach((id) => this.#leases.takeBack(id)),
        forbidRestarts: () => this.#supervisor.forbidRestarts(),
      },
    });
    const longestPauseMs = limits.maxRetryWaitMs ?? defaultSessionLimits.maxRetryWaitMs;
    const actor = createActor(machine, {
      input: { maxSessions, restartLimits, retriesInterrupted, repeats, longestPauseMs },
      clock: this.#dependencies.clock,
      ...inspection(machine, 'pool'),
    });
    let state: PoolSnapshot['state'] = 'starting';
    actor.subscribe({
      next: ({ value }) => {
        if (value !== state) this.#events.emit({ type: 'pool.changed', state: (state = value) });
      },
      error: (error) => this.#onActorError(error),
    });
    return actor;
  }

  /** @throws `TASK_INVALID`, `TASK_DUPLICATE`, `POOL_STOPPED` */
  #submit(task: Task, options: TaskOptions, leased?: SessionHost): LiveTask {
    const { signal, permissions: _policy, ...wishes } = options;
    const policy = checkSubmission(task, options, leased !== undefined, this.#settings);
    this.#assertTakesWork();
    const { model } = this.#settings;
    const live = createLiveTask({
      id: this.#ids.take(task.id),
      task,
      policy,
      model,
      queuedAtMs: this.#dependencies.clock.now(),
      leased,
      ...wishes,
    });
    this.#tasks.set(live.id, live);
    this.#events.emit({ type: 'task.queued', taskId: live.id });
    const deadline = leased && task.timeoutMs !== undefined ? { timeoutMs: task.timeoutMs } : {};
    if (signal?.aborted) this.#finish(abortedAtOnce(live));
    else tell(this.#actor, { type: 'task.queued', ...live.place, ...deadline });
    const abort = () => this.#cancel(live);
    signal?.addEventListener('abort', abort, { once: true });
    live.stopListening = () => signal?.removeEventListener('abort', abort);
    if (!this.#tasks.has(live.id)) live.stopListening();
    return live;
  }

  #cancel({ place }: LiveTask): void {
    tell(this.#actor, { type: 'task.cancelled', ...place, reason: 'The caller aborted the task.' });
  }

  /** Takes a step that the actor has assigned, and tells it what came of it. */
  async #begin(assignment: Assignment, actor: PoolActor): Promise<void> {
    const live = this.#tasks.get(assignment.taskId);
    if (live) tell(actor, await this.#steps.take(live, assignment));
    else await this.#change(assignment.taskId, actor);
  }

  async #change(taskId: string, actor: PoolActor): Promise<void> {
    const fact = await this.#leases.makeChange(taskId);
    if (fact) tell(actor, fact);
  }

  /** The one place where a task ends. */
  #finish(ended: EndedTask): void {
    const live = this.#tasks.get(ended.taskId);
    if (!live) return this.#leases.endChange(ended);
    this.#tasks.delete(live.id);
    const taken = this.#steps.takeLate(live);
    if (taken) this.#workspaces.track(taken.then(() => this.#settle(live, ended)));
    else this.#settle(live, ended);
  }

  #settle(live: LiveTask, ended: EndedTask): void {
    const { clock } = this.#dependencies;
    const context = { now: clock.now(), directory: this.#supervisor.server.directory, model: this.#settings.model };
    const { value, redacted } = this.#supervisor.server.redact(resultOf(live, ended, context));
    const result = redacted > 0 ? { ...value, redacted } : value;
    live.stopListening();
    this.#ids.finish(live.id);
    this.#steps.leave(live, live.keepsPlace?.(result) ?? false);
    this.#events.emit({ type: 'task.finished', result });
    live.settled.resolve(result);
  }

  /** Aborts the turn of a task, or the calls before it; or a change. */
  #abort(aborted: AbortedTask, withinMs: number | undefined): void {
    const { taskId, reason } = aborted;
    const live = this.#tasks.get(taskId);
    if (!live) return this.#leases.abortChange(aborted);
    live.calls?.abort(new OpencodeManagerError('TURN_ABORTED', reason));
    const host = live.sessionId === undefined ? undefined : this.#sessions.registry.get(live.sessionId);
    if (host?.taskId === taskId) host.abort(reason, withinMs);
  }

  #lease(host: SessionHost): PooledSession {
    this.#leases.hold(host);
    // Another server may have taken over while the session was made.
    this.#sessions.reattach(host, this.#supervisor.server);
    return createLeasedSession(host, {
      submit: (_host, task, options) => this.#submit(task, options, host).settled.promise,
      change: (_host, job, options) => this.#leases.change(host, job, options, this.#actor),
      abort: (_host, options: CallOptions) => this.#leases.abort(host, options, this.#actor),
      delete: (_host, options) => this.#leases.delete(host, options, this.#actor),
      forget: () => this.#leases.forget(host),
      release: () => tell(this.#actor, { type: 'session.released', sessionId: host.id }),
      queued: () => Math.max(0, (this.#context.lines[host.id]?.length ?? 0) - 1),
      fork: async (_host, messageId) => {
        this.#assertTakesWork();
        return this.#leaseNew(this.#sessions.adopt(host.server, await host.operations.fork(messageId)));
      },
    });
  }

  get #context(): PoolContext {
    return this.#actor.getSnapshot().context;
  }

  /** Cannot happen by an action of ours; if it does, no task may hang on it. */
  #onActorError(error: unknown): void {
    for (const { id: taskId } of this.#tasks.values()) this.#finish({ taskId, outcome: 'failed', error: toManagerError(error).toJSON() });
  }

  /** A session that was made while the pool stopped is nobody's. */
  async #leaseNew(host: SessionHost): Promise<PooledSession> {
    try {
      this.#assertTakesWork();
    } catch (error) {
      this.#sessions.drop(host);
      await host.operations.delete().catch(() => undefined);
      throw error;
    }
    return this.#lease(host);
  }

  #assertTakesWork(): void {
    const { value, context } = this.#actor.getSnapshot();
    if (value === 'running' || (value === 'recovering' && !context.draining)) return;
    const state = context.draining && value === 'recovering' ? 'draining' : value;
    throw new OpencodeManagerError('POOL_STOPPED', `The pool is ${state} and takes no new work.`, { details: { state } });
  }
}
