import { OpencodeManagerError, toManagerError, type OpencodeServer, type SerializedError, type ServerExit } from '@opencode-manager/core';
import { createMessageIds } from '@opencode-manager/core/protocol';
import type { EventMonitor } from '@opencode-manager/events';
import { createActor, type ActorRefFrom, type SnapshotFrom } from 'xstate';
import { poolMachine } from '../machines/index.ts';
import { isPassing } from '../session/refusals.ts';
import type { SessionHost, TurnReport } from '../session/session-host.ts';
import { parseTask } from '../task/schema.ts';
import type { Outcome, Task, TaskResult } from '../task/types.ts';
import { PoolEvents } from './pool-events.ts';
import { abortedBeforeStart, serverExited, stoppedError } from './pool-errors.ts';
import { createPooledSession } from './pooled-session.ts';
import { assertOffered, existingDirectory } from './preflight.ts';
import { runAll } from './run-all.ts';
import { SessionKeeper } from './session-keeper.ts';
import type { PoolDependencies, PoolSettings } from './settings.ts';
import { resultOfTurn, resultWithoutTurn } from './task-result.ts';
import { createTaskRun, turnRequestOf, type TaskRun } from './task-run.ts';
import type { PooledSession, PoolEvent, PoolEventType, PoolSnapshot, SessionPool } from './types.ts';

export interface PoolParts {
  readonly server: OpencodeServer;
  readonly monitor: EventMonitor;
  readonly settings: PoolSettings;
  readonly dependencies: PoolDependencies;
  /** What the pool opened itself, and closes. */
  readonly owned: AsyncDisposableStack;
}

interface RunOptions {
  readonly signal?: AbortSignal | undefined;
}

type PoolState = PoolSnapshot['state'];

/**
 * The host of the pool actor: it carries out what the actor decides (which task starts when, which is lost) and tells
 * it what came of it. See {@link SessionPool}.
 */
export class Pool implements SessionPool {
  readonly server: OpencodeServer;
  readonly monitor: EventMonitor;
  readonly #settings: PoolSettings;
  readonly #dependencies: PoolDependencies;
  readonly #owned: AsyncDisposableStack;
  readonly #events: PoolEvents;
  readonly #keeper: SessionKeeper;
  readonly #actor: ActorRefFrom<typeof poolMachine>;
  readonly #messageIds: ReturnType<typeof createMessageIds>;
  readonly #runs = new Map<string, TaskRun>();
  /** Ids of all tasks so far: each is to be unique within the pool. */
  readonly #ids = new Set<string>();
  readonly #stopListening: () => void;
  #nextId = 1;
  #state: PoolState = 'starting';
  #takesWork = true;
  #stopping: Promise<void> | undefined;

  constructor({ server, monitor, settings, dependencies, owned }: PoolParts) {
    this.server = server;
    this.monitor = monitor;
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#owned = owned;
    this.#messageIds = createMessageIds({ now: dependencies.now, random: dependencies.random });
    this.#events = new PoolEvents(dependencies.now);
    this.#keeper = new SessionKeeper({
      server,
      monitor,
      settings,
      dependencies,
      onChange: (session, from) => this.#events.emit({ type: 'session.changed', session, from }),
    });
    this.#actor = this.#startActor();
    this.#stopListening = monitor.on({}, (event) => {
      this.#keeper.registry.route(event);
      if (event.type === 'stream.gap') this.#events.emit({ type: 'stream.gap', generation: event.generation });
    });
    void server.exited.then((exit) => this.#onServerExit(exit));
    this.#actor.send({ type: 'pool.ready' });
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

  runAll(tasks: Iterable<Task> | AsyncIterable<Task>, options: RunOptions = {}): AsyncIterableIterator<TaskResult> {
    return runAll((task, signal) => this.run(task, { signal }), tasks, this.#settings.maxSessions, options.signal);
  }

  async createSession(title?: string, { directory = this.server.directory }: { readonly directory?: string } = {}): Promise<PooledSession> {
    this.#assertRunning();
    return this.#lend(await this.#keeper.create(directory, title));
  }

  getIdleSession({ directory }: { readonly directory?: string } = {}): PooledSession | undefined {
    const host = this.#keeper.findIdle(directory);
    return host && this.#lend(host);
  }

  cleanupDeadSessions(): Promise<number> {
    return this.#keeper.cleanupDead();
  }

  snapshot(): PoolSnapshot {
    const { maxSessions, queued, retrying, active, finished, outcomes, restarts } = this.#actor.getSnapshot().context;
    return {
      state: this.#state,
      maxSessions,
      queued: queued + retrying.length,
      active,
      finished,
      outcomes,
      restarts,
      gaps: this.monitor.gaps,
      sessions: this.#keeper.registry.all().map((host) => host.snapshot()),
    };
  }

  on<Type extends PoolEventType | '*'>(
    type: Type,
    listener: (event: Type extends '*' ? PoolEvent : Extract<PoolEvent, { type: Type }>) => void,
  ): () => void {
    return this.#events.on(type, listener as (event: PoolEvent) => void);
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
    this.#stopListening();
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
      },
    });
    const { maxSessions, restartLimits } = this.#settings;
    const actor = createActor(machine, { input: { maxSessions, restartLimits } });
    actor.subscribe({ next: (snapshot) => this.#onState(snapshot), error: (error) => this.#onActorError(error) });
    return actor.start();
  }

  #onState({ value }: SnapshotFrom<typeof poolMachine>): void {
    if (value === this.#state) return;
    this.#state = value;
    this.#events.emit({ type: 'pool.changed', state: this.#state });
  }

  #createRun(task: Task, bound: SessionHost | undefined): TaskRun {
    const id = task.id ?? this.#freshId();
    if (this.#ids.has(id)) {
      throw new OpencodeManagerError('TASK_DUPLICATE', `id: a task ${id} was given to this pool before. Give each task an id of its own.`, {
        details: { id },
      });
    }
    this.#ids.add(id);
    const run = createTaskRun(id, task, this.#dependencies.now(), bound);
    this.#runs.set(id, run);
    return run;
  }

  #enqueue(run: TaskRun, signal: AbortSignal | undefined): void {
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
    if (this.#state !== 'running') return this.#finishWithout(run, 'aborted', stoppedError(), false);
    this.#actor.send({ type: 'task.queued', ...run.place });
    await run.settled.promise;
  }

  #freshId(): string {
    while (this.#ids.has(`task-${this.#nextId}`)) this.#nextId += 1;
    return `task-${this.#nextId}`;
  }

  /** Carries out the actor's decision that the task has a slot now. */
  async #start(run: TaskRun | undefined): Promise<void> {
    if (!run || run.finished) return;
    run.attempt += 1;
    run.host = undefined;
    try {
      await this.#runTurn(run);
    } catch (error) {
      this.#onFailure(run, toManagerError(error));
    }
  }

  async #runTurn(run: TaskRun): Promise<void> {
    const { task } = run;
    const { model, agent, permissions, taskTimeoutMs } = this.#settings;
    run.directory = run.bound?.directory ?? (await existingDirectory(task.directory ?? this.server.directory));
    const request = turnRequestOf(task, this.#messageIds, { model, agent });
    await assertOffered(this.server, run.directory, request, run.calls.signal);
    if (run.abortReason !== undefined) return this.#finishWithout(run, 'aborted', abortedBeforeStart());
    const host = run.bound ?? (await this.#keeper.sessionFor(run.directory, task.title ?? run.id, run.calls.signal));
    run.host = host;
    if (run.abortReason !== undefined || run.finished) return this.#finishBeforeTurn(run, host);
    run.messageId = request.messageId;
    run.startedAtMs = this.#dependencies.now();
    const turn = host.run({ taskId: run.id, request, timeoutMs: task.timeoutMs ?? taskTimeoutMs, policy: task.permissions ?? permissions });
    this.#events.emit({ type: 'task.started', taskId: run.id, sessionId: host.id, directory: host.directory, attempt: run.attempt });
    this.#finishTurn(run, host, await turn);
  }

  #finishBeforeTurn(run: TaskRun, host: SessionHost): void {
    this.#keeper.rest(host);
    this.#finishWithout(run, 'aborted', abortedBeforeStart());
  }

  #finishTurn(run: TaskRun, host: SessionHost, report: TurnReport): void {
    this.#keeper.rest(host);
    const { error } = report.finished;
    if (error?.code === 'SESSION_ACTOR_FAILED') return this.#onFailure(run, OpencodeManagerError.from(error));
    this.#finish(run, resultOfTurn(run, report, this.#resultContext()));
  }

  /** A failure that may pass is the actor's to judge (restart budget); another ends the task. */
  #onFailure(run: TaskRun, error: OpencodeManagerError): void {
    if (run.finished) return;
    const serialized = error.toJSON();
    if (run.abortReason !== undefined) return this.#finishWithout(run, 'aborted', serialized);
    if (this.#state === 'failed') return this.#finishWithout(run, 'server_lost', serialized);
    if (!isPassing(error)) return this.#finishWithout(run, 'failed', serialized);
    if (run.bound) return this.#finishWithout(run, 'interrupted', serialized);
    const jitter = 2 * this.#dependencies.random() - 1;
    this.#actor.send({ type: 'task.crashed', ...run.place, error: serialized, atMs: this.#dependencies.now(), jitter });
  }

  #finishLost(taskId: string, reason: 'stopped' | 'server_lost' | 'budget_spent', error: SerializedError | null): void {
    const run = this.#runs.get(taskId);
    if (!run) return;
    const outcome: Outcome = reason === 'stopped' ? 'aborted' : reason === 'server_lost' ? 'server_lost' : 'failed';
    this.#finishWithout(run, outcome, error ?? stoppedError(), false);
  }

  #finishWithout(run: TaskRun, outcome: Outcome, error: SerializedError, holdsSlot = true): void {
    this.#finish(run, resultWithoutTurn(run, outcome, error, this.#resultContext()), holdsSlot);
  }

  /** The one place where a task ends. */
  #finish(run: TaskRun, result: TaskResult, holdsSlot = true): void {
    if (run.finished) return;
    run.finished = true;
    run.stopListening();
    this.#runs.delete(run.id);
    this.#events.emit({ type: 'task.finished', result });
    run.settled.resolve(result);
    if (holdsSlot) this.#actor.send({ type: 'slot.freed', taskId: run.id, outcome: result.outcome });
  }

  #abort(run: TaskRun, reason: string): void {
    if (run.finished) return;
    if (this.#abortStarted(run, reason)) return;
    // Without effect on a task that has its slot already: its start looks at the reason.
    const { queued, retrying } = this.#actor.getSnapshot().context;
    this.#actor.send({ type: 'task.cancelled', ...run.place });
    const after = this.#actor.getSnapshot().context;
    const wasWaiting =
      after.queued < queued ||
      after.retrying.length < retrying.length ||
      (run.bound !== undefined && run.attempt === 0 && !this.#holdsSlot(run));
    if (wasWaiting) this.#finishWithout(run, 'aborted', abortedBeforeStart(), false);
  }

  #holdsSlot({ id }: TaskRun): boolean {
    return this.#actor.getSnapshot().context.holders.some((bucket) => bucket.includes(id));
  }

  #abortActive(): void {
    for (const run of this.#runs.values()) this.#abortStarted(run, 'The pool was stopped.');
  }

  /** Aborts the turn, or the calls before it; false when the task has no turn yet. */
  #abortStarted(run: TaskRun, reason: string): boolean {
    run.abortReason ??= reason;
    run.calls.abort();
    if (run.host?.taskId !== run.id) return false;
    run.host.abort(reason);
    return true;
  }

  #lend(host: SessionHost): PooledSession {
    this.#keeper.take(host);
    host.lent = true;
    return createPooledSession({
      host,
      server: this.server,
      submit: (task, options) => this.submit(task, options, host).settled.promise,
      release: () => {
        host.lent = false;
        this.#keeper.rest(host);
      },
      forget: () => this.#keeper.drop(host),
    });
  }

  #onServerExit(exit: ServerExit): void {
    if (this.#stopping) return;
    const error = serverExited(exit, this.server.output());
    this.#actor.send({ type: 'server.exited', error });
    for (const host of this.#keeper.registry.all()) host.send({ type: 'server.exited', error });
  }

  /** Cannot happen by an action of ours; if it does, no task may hang on it. */
  #onActorError(error: unknown): void {
    this.#state = 'failed';
    for (const run of this.#runs.values()) this.#finishWithout(run, 'failed', toManagerError(error).toJSON(), false);
  }

  #assertRunning(): void {
    if (this.#state === 'running' && this.#takesWork) return;
    throw new OpencodeManagerError('POOL_STOPPED', `The pool is ${this.#takesWork ? this.#state : 'draining'} and takes no new work.`, {
      details: { state: this.#state },
    });
  }

  #resultContext() {
    return { now: this.#dependencies.now(), directory: this.server.directory, model: this.#settings.model };
  }
}
