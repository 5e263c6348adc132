import type { ProviderSnapshot, SentTurn, SessionPool, TaskLimits, TaskResult } from '@opencode-manager/actors';
import { OpencodeManagerError, toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import { createActor, type ActorRefFrom } from 'xstate';
import type { JournalRow } from '../journal/events.ts';
import {
  countTasks,
  parksAfter,
  runMachine,
  type ResumePlan,
  type RunContext,
  type RunCounts,
  type RunEffect,
  type RunMachineEvent,
  type RunSettings,
} from '../machine/index.ts';
import type { OutputCheck } from '../output/output-schema.ts';
import { Attempts } from './attempts.ts';
import { createControl } from './control.ts';
import type { RunControl } from './control.types.ts';
import { Following } from './following.ts';
import type { RunPorts } from './ports.ts';
import { refuseProvider } from './refuse-provider.ts';
import type { Redaction } from './redaction.ts';
import type { RunStore } from './store.ts';
import { holdOf, providersOf, stateOf } from './state.ts';
import { SessionSweep } from './session-sweep.ts';
import { Totals } from './totals.ts';
import type { AttemptNames } from './attempt-names.ts';
import { EarlierAttempts } from './earlier-attempts.ts';
import { Parts } from './parts.ts';
import type { RunOptions, RunProvider, RunSummary, RunTaskSpec } from './types.ts';

type Params<Type extends RunEffect['type']> = Extract<RunEffect, { readonly type: Type }>['params'];

export interface RunHostOptions {
  readonly store: RunStore;
  readonly pool: SessionPool;
  /** The pool has other work too. */
  readonly sharesPool: boolean;
  readonly plan: ResumePlan;
  readonly settings: Partial<RunSettings>;
  readonly tasks: ReadonlyMap<string, RunTaskSpec>;
  /** Of tasks that do not name them. */
  readonly taskLimits: TaskLimits;
  /** A provider that wants to be asked again later than this (milliseconds) has no quota left. */
  readonly maxRetryWaitMs: number;
  /** By key: of tasks with an output schema. */
  readonly outputs: ReadonlyMap<string, OutputCheck>;
  /** The models of tasks, by their keys, as far as they are known. */
  readonly models: Readonly<Record<string, string>>;
  readonly names: AttemptNames;
  readonly changesOf: RunOptions['changesOf'];
  /** Whether a task works in a workspace of its own. */
  readonly hasOwnPlace: (task: RunTaskSpec) => boolean;
  readonly redaction: Redaction;
  readonly transcripts: boolean;
  readonly onNote: (note: string) => void;
  readonly ports: RunPorts;
}

/** The world of a run's machine: it commits rows, runs attempts on the pool, and tells what is committed. */
export class RunHost {
  readonly #options: RunHostOptions;
  readonly #actor: ActorRefFrom<typeof runMachine>;
  readonly #attempts: Attempts;
  readonly #rows: Following;
  readonly #totals = new Totals();
  readonly #earlier = new EarlierAttempts();
  readonly #parts = new Parts();
  readonly #sweep: SessionSweep;
  readonly control: RunControl;
  /** Number of the newest row of earlier managers. */
  readonly startSequence: number;
  readonly #timers = new Set<unknown>();
  /** Attempts whose transcript could not be written: their sessions stay. */
  readonly #unwritten = new Set<string>();
  readonly #ended = Promise.withResolvers<RunSummary>();
  #stopListening: () => void = () => {};
  /** Why the journal took nothing, the last time that it did not. */
  #unwritable: SerializedError | null = null;
  #reason: RunSummary['reason'] | null = null;
  readonly #startedAtMs: number;

  constructor(options: RunHostOptions) {
    this.#options = options;
    const { pool, tasks, outputs, plan, settings, taskLimits, models, store, redaction, ports } = options;
    this.#startedAtMs = ports.clock.now();
    this.#sweep = new SessionSweep(pool, ports.clock);
    const send = (event: RunMachineEvent) => this.#send(event);
    this.#attempts = new Attempts({
      pool,
      tasks,
      taskLimits,
      maxRetryWaitMs: options.maxRetryWaitMs,
      outputs,
      ports,
      send,
      names: options.names,
      earlier: this.#earlier,
      parts: this.#parts,
      models,
      mayPark: (of, end) => parksAfter(this.#actor.getSnapshot().context, of, end),
      changesOf: options.changesOf,
      hasOwnPlace: options.hasOwnPlace,
      redact: (result) => redaction.result(result),
      keepTranscript: (...attempt) => this.#keepTranscript(...attempt),
    });
    const machine = runMachine.provide({
      actions: {
        commit: (_, params) => void this.#commit(params),
        start: (_, params) => this.#attempts.start(params),
        look: (_, params) => this.#attempts.look(params),
        allowSend: (_, params) => this.#attempts.allowSend(params),
        repair: (_, params) => this.#attempts.repair(params),
        takeAnswer: (_, params) => this.#attempts.takeAnswer(params),
        abort: (_, params) => this.#attempts.abort(params),
        schedule: (_, params) => this.#schedule(params),
        // The pool starts its server again by itself, at once; whether the run goes on with it, the machine says.
        restartServer: () => {},
        warn: (_, params) => options.onNote(warningOf(params)),
        told: (_, params) => this.#tell(params),
        ended: (_, { reason, why, counts }) => {
          this.#reason = reason;
          const error = reason === 'failed' || reason === 'storage_full' ? this.#unwritable : null;
          this.#ended.resolve({ reason, why, error, counts, totals: this.#totals.now() });
        },
      },
    });
    this.#actor = createActor(machine, { input: { plan, settings, models } });
    this.control = this.#createControl();
    this.#rows = new Following((after) => store.rows(after));
    let startSequence = 0;
    for (const row of store.rows()) {
      this.#note(row);
      startSequence = row.sequence;
    }
    this.startSequence = startSequence;
    void this.#ended.promise.then(() => this.#close());
  }

  #createControl(): RunControl {
    const { pool, sharesPool, ports } = this.#options;
    return createControl({
      pool,
      sharesPool,
      now: () => ports.clock.now(),
      context: () => this.#actor.getSnapshot().context,
      // Not every wish is a row, and who looks at the files sees it too.
      send: (event) => {
        this.#send(event);
        this.#showState();
      },
      until: (holds) => this.#until(holds),
      timeoutMs: () => this.#attempts.taskLimits.timeoutMs ?? null,
      setTimeoutMs: (timeoutMs) => (this.#attempts.taskLimits = { ...this.#attempts.taskLimits, timeoutMs }),
    });
  }

  #note(row: JournalRow): void {
    this.#totals.add(row);
    this.#earlier.note(row);
    this.#parts.note(row);
  }

  get ended(): Promise<RunSummary> {
    return this.#ended.promise;
  }

  start(): void {
    const { pool, ports } = this.#options;
    this.#actor.start();
    this.#stopListening = this.#followPool();
    this.#send({ type: 'run.open', atMs: ports.clock.now() });
    if (pool.snapshot().state === 'running') this.#send({ type: 'server.ready', atMs: ports.clock.now() });
  }

  counts(): RunCounts {
    return countTasks(this.#actor.getSnapshot().context);
  }

  events(afterSequence: number): AsyncGenerator<JournalRow, undefined> {
    return this.#rows.read(afterSequence);
  }

  /** The rows that there are. */
  async *knownEvents(afterSequence: number): AsyncGenerator<JournalRow, undefined> {
    yield* this.#options.store.rows(afterSequence);
    return undefined;
  }

  get hasEnded(): boolean {
    return this.#reason !== null;
  }

  holding(hasCountdown: boolean): string | null {
    const { context } = this.#actor.getSnapshot();
    return hasCountdown ? holdOf(context, this.#options.ports.clock.now()) : holdOf(context);
  }

  providers(): readonly RunProvider[] {
    return providersOf(this.#actor.getSnapshot().context);
  }

  pauseProvider(id: string): void {
    refuseProvider(id, this.providers());
    this.#send({ type: 'provider.paused', provider: id });
    this.#showState();
  }

  resumeProvider(id: string): void {
    refuseProvider(id, this.providers());
    this.#send({ type: 'provider.resumed', provider: id, atMs: this.#options.ports.clock.now() });
    this.#showState();
  }

  drain(): void {
    this.#send({ type: 'run.drain' });
  }

  abort(reason: string): void {
    this.#send({ type: 'run.abort', reason });
  }

  /** Resolves when no attempt is under way any more. */
  settled(): Promise<void> {
    return this.#attempts.settled();
  }

  /** Deletes the sessions that are left to delete, for at most so many milliseconds. */
  sweep(withinMs: number): Promise<void> {
    return this.#sweep.finish(withinMs);
  }

  async #until(holds: (context: RunContext) => boolean): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const look = () => {
      const { context } = this.#actor.getSnapshot();
      if (context.closing === 'closed' || holds(context)) reached.resolve();
    };
    const subscription = this.#actor.subscribe({ next: look, complete: () => reached.resolve(), error: () => reached.resolve() });
    look();
    await reached.promise;
    subscription.unsubscribe();
  }

  #send(event: RunMachineEvent): void {
    this.#actor.send(event);
  }

  /** The machine hears of deaths before the ends that they bring, and when the server has a prompt. */
  #followPool(): () => void {
    const { pool, names, ports } = this.#options;
    const lost = new OpencodeManagerError('SERVER_EXITED', 'The server of the run was lost.').toJSON();
    const stopServer = pool.on('pool.changed', ({ state }) => {
      const atMs = ports.clock.now();
      if (state === 'recovering') this.#send({ type: 'server.died', error: pool.snapshot().error ?? lost, atMs });
      else if (state === 'running') this.#send({ type: 'server.ready', atMs });
      else if (state === 'failed') this.#send({ type: 'server.gone', error: pool.snapshot().error ?? lost, atMs });
    });
    const stopSessions = pool.on('session.changed', ({ session: { taskId, path } }) => {
      const attempt = path === 'active.running' && taskId !== null ? names.attemptOf(taskId) : undefined;
      if (attempt) this.#send({ type: 'attempt.accepted', ...attempt });
    });
    const stopSpending = pool.on('task.spent', ({ taskId, tokens, usd, isLast }) => {
      const attempt = names.attemptOf(taskId);
      if (attempt) this.#send({ type: 'attempt.spent', ...attempt, tokens, usd, isLast });
      // Who looks at the run sees what it costs while its first tasks still run.
      this.#showState();
    });
    const noteProvider = ({ id, limit, heldUntilMs }: ProviderSnapshot): void => {
      if (id !== null) this.#send({ type: 'provider.changed', provider: id, limit, heldUntilMs });
    };
    const stopProviders = pool.on('provider.changed', ({ provider }) => noteProvider(provider));
    // Of a pool that had work before.
    pool.snapshot().providers.forEach(noteProvider);
    return () => {
      stopServer();
      stopProviders();
      stopSessions();
      stopSpending();
    };
  }

  async #commit({ batch, events }: Params<'commit'>): Promise<void> {
    const { store, ports } = this.#options;
    let rows: readonly JournalRow[];
    try {
      rows = await store.journal.append(events);
    } catch (error) {
      this.#unwritable = toManagerError(error).toJSON();
      return this.#send({ type: 'journal.failed', batch, error: this.#unwritable, atMs: ports.clock.now() });
    }
    // What is derived is brought up to the journal when it is opened the next time.
    await store.addResults(rows).catch(() => undefined);
    for (const row of rows) this.#note(row);
    this.#rows.wake();
    this.#send({ type: 'journal.committed', batch, atMs: ports.clock.now() });
    this.#showState();
  }

  #schedule({ timer, delayMs }: Params<'schedule'>): void {
    const { clock } = this.#options.ports;
    const handle = clock.setTimeout(() => {
      this.#timers.delete(handle);
      this.#send({ type: 'timer.fired', timer, atMs: clock.now() });
    }, delayMs);
    this.#timers.add(handle);
  }

  /** Its end is committed: what the server has of it is needed no more, but for one that goes on later. */
  #tell(end: Params<'told'>): void {
    if (end.type !== 'attempt' || end.isParked) return;
    const { session_id: id, proof } = end.result;
    const isKept = this.#unwritten.delete(`${end.key}\0${end.attempt}`);
    if (id !== null && !isKept && this.#options.store.path !== undefined) this.#sweep.add({ id, isIdle: proof !== null });
  }

  async #keepTranscript(key: string, attempt: number, turn: SentTurn | undefined, result: TaskResult): Promise<void> {
    const { store, pool, redaction, transcripts, onNote, ports } = this.#options;
    if (!turn || !transcripts || store.path === undefined) return;
    try {
      const directory = await store.makeArtifacts(key, attempt);
      const problem = directory && (await ports.writeTranscript(directory, pool, turn, { ...result, id: key, attempt }, redaction.apply));
      if (problem === undefined) return;
      onNote(problem);
    } catch (error) {
      // No room, or no directory any more: the end of the attempt is told all the same, and what is wrong ends the run by its journal.
      onNote(`The transcript of ${key} could not be written: ${toManagerError(error).message}`);
    }
    this.#unwritten.add(`${key}\0${attempt}`);
  }

  /** To count the tasks is linear in them: it is done when the state is written, not with each row. */
  #showState(): void {
    const { store, plan, ports } = this.#options;
    store.tellState(() =>
      stateOf({
        run: store.id,
        generation: plan.generation,
        counts: this.counts(),
        totals: this.#totals.now(),
        context: this.#actor.getSnapshot().context,
        ended: this.#reason,
        startedAtMs: this.#startedAtMs,
        nowMs: ports.clock.now(),
        pid: ports.pid,
      }),
    );
  }

  #close(): void {
    this.#stopListening();
    for (const timer of this.#timers) this.#options.ports.clock.clearTimeout(timer);
    this.#showState();
    this.#rows.end();
    this.#actor.stop();
  }
}

function warningOf({ name, limit, spent }: Params<'warn'>): string {
  const told = (amount: number) => (name === 'usd' ? `${Number(amount.toFixed(4))} USD` : `${amount} tokens`);
  return `The run has used ${told(spent)} of ${told(limit)}. At 90 % nothing new starts, and at the limit what runs is ended after its present step.`;
}
