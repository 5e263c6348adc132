import type { SentTurn, SessionPool, TaskResult } from '@opencode-manager/actors';
import { OpencodeManagerError, toManagerError } from '@opencode-manager/core/errors';
import { createActor, type ActorRefFrom } from 'xstate';
import type { JournalRow } from '../journal/events.ts';
import {
  countTasks,
  runMachine,
  type ResumePlan,
  type RunCounts,
  type RunEffect,
  type RunMachineEvent,
  type RunSettings,
} from '../machine/index.ts';
import { Attempts } from './attempts.ts';
import { Following } from './following.ts';
import type { Redaction } from './redaction.ts';
import type { RunStore } from './store.ts';
import { stateOf } from './state.ts';
import { Totals } from './totals.ts';
import { writeTranscript } from './transcripts.ts';
import type { AttemptNames } from './attempt-names.ts';
import { EarlierAttempts } from './earlier-attempts.ts';
import type { RunOptions, RunSummary, RunTaskSpec } from './types.ts';

type Params<Type extends RunEffect['type']> = Extract<RunEffect, { readonly type: Type }>['params'];

export interface RunHostOptions {
  readonly store: RunStore;
  readonly pool: SessionPool;
  readonly plan: ResumePlan;
  readonly settings: Partial<RunSettings>;
  readonly tasks: ReadonlyMap<string, RunTaskSpec>;
  readonly taskTimeoutMs: number | undefined;
  readonly names: AttemptNames;
  readonly changesOf: RunOptions['changesOf'];
  readonly redaction: Redaction;
  readonly transcripts: boolean;
  readonly onNote: (note: string) => void;
}

/** Longest wait of one timer, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

/** The world of a run's machine: it commits rows, runs attempts on the pool, and tells what is committed. */
export class RunHost {
  readonly #options: RunHostOptions;
  readonly #actor: ActorRefFrom<typeof runMachine>;
  readonly #attempts: Attempts;
  readonly #rows: Following;
  readonly #totals = new Totals();
  readonly #earlier = new EarlierAttempts();
  /** Number of the newest row of earlier managers. */
  readonly startSequence: number;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Attempts whose transcript could not be written: their sessions stay. */
  readonly #unwritten = new Set<string>();
  readonly #ended = Promise.withResolvers<RunSummary>();
  #stopListening: () => void = () => {};
  #startedAtMs = Date.now();

  constructor(options: RunHostOptions) {
    this.#options = options;
    const { pool, tasks, plan, settings, taskTimeoutMs, store, redaction } = options;
    const send = (event: RunMachineEvent) => this.#send(event);
    this.#attempts = new Attempts({
      pool,
      tasks,
      taskTimeoutMs,
      send,
      names: options.names,
      earlier: this.#earlier,
      changesOf: options.changesOf,
      redact: (result) => redaction.result(result),
      keepTranscript: (...attempt) => this.#keepTranscript(...attempt),
    });
    const machine = runMachine.provide({
      actions: {
        commit: (_, params) => void this.#commit(params),
        start: (_, params) => this.#attempts.start(params),
        look: (_, params) => this.#attempts.look(params),
        allowSend: (_, params) => this.#attempts.allowSend(params),
        abort: (_, params) => this.#attempts.abort(params),
        schedule: (_, params) => this.#schedule(params),
        // The pool starts its server again by itself, at once; whether the run goes on with it, the machine says.
        restartServer: () => {},
        told: (_, params) => this.#tell(params),
        ended: (_, { reason, why, counts }) => this.#ended.resolve({ reason, why, counts, totals: this.#totals.now() }),
      },
    });
    this.#actor = createActor(machine, { input: { plan, settings } });
    this.#rows = new Following((after) => store.rows(after));
    let startSequence = 0;
    for (const row of store.rows()) {
      this.#note(row);
      startSequence = row.sequence;
    }
    this.startSequence = startSequence;
    void this.#ended.promise.then(() => this.#close());
  }

  #note(row: JournalRow): void {
    this.#totals.add(row);
    this.#earlier.note(row);
  }

  get ended(): Promise<RunSummary> {
    return this.#ended.promise;
  }

  start(): void {
    const { pool } = this.#options;
    this.#actor.start();
    this.#stopListening = this.#followPool();
    this.#send({ type: 'run.open', atMs: Date.now() });
    if (pool.snapshot().state === 'running') this.#send({ type: 'server.ready', atMs: Date.now() });
  }

  counts(): RunCounts {
    return countTasks(this.#actor.getSnapshot().context);
  }

  events(afterSequence: number): AsyncGenerator<JournalRow, undefined> {
    return this.#rows.read(afterSequence);
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

  #send(event: RunMachineEvent): void {
    this.#actor.send(event);
  }

  /** The machine hears of deaths before the ends that they bring, and when the server has a prompt. */
  #followPool(): () => void {
    const { pool, names } = this.#options;
    const lost = new OpencodeManagerError('SERVER_EXITED', 'The server of the run was lost.').toJSON();
    const stopServer = pool.on('pool.changed', ({ state }) => {
      const atMs = Date.now();
      if (state === 'recovering') this.#send({ type: 'server.died', error: pool.snapshot().error ?? lost, atMs });
      else if (state === 'running') this.#send({ type: 'server.ready', atMs });
      else if (state === 'failed') this.#send({ type: 'server.gone', error: pool.snapshot().error ?? lost, atMs });
    });
    const stopSessions = pool.on('session.changed', ({ session: { taskId, path } }) => {
      const attempt = path === 'active.running' && taskId !== null ? names.attemptOf(taskId) : undefined;
      if (attempt) this.#send({ type: 'attempt.accepted', ...attempt });
    });
    return () => {
      stopServer();
      stopSessions();
    };
  }

  async #commit({ batch, events }: Params<'commit'>): Promise<void> {
    const { store } = this.#options;
    let rows: readonly JournalRow[];
    try {
      rows = await store.journal.append(events);
    } catch (error) {
      return this.#send({ type: 'journal.failed', batch, error: toManagerError(error).toJSON(), atMs: Date.now() });
    }
    // What is derived is brought up to the journal when it is opened the next time.
    await store.addResults(rows).catch(() => undefined);
    for (const row of rows) this.#note(row);
    this.#rows.wake();
    this.#send({ type: 'journal.committed', batch, atMs: Date.now() });
    this.#showState();
  }

  #schedule({ timer, delayMs }: Params<'schedule'>): void {
    const handle = setTimeout(
      () => {
        this.#timers.delete(handle);
        this.#send({ type: 'timer.fired', timer, atMs: Date.now() });
      },
      Math.min(delayMs, longestTimerMs),
    );
    this.#timers.add(handle);
  }

  /** Its end is committed: what the server has of it is needed no more, but for one that goes on later. */
  #tell(end: Params<'told'>): void {
    if (end.type !== 'attempt' || (!end.final && end.outcome === 'quota_exhausted')) return;
    const { session_id: id } = end.result;
    const isKept = this.#unwritten.delete(`${end.key}\0${end.attempt}`);
    if (id !== null && !isKept && this.#options.store.path !== undefined) void this.#forgetSession(id);
  }

  async #forgetSession(id: string): Promise<void> {
    await this.#options.pool
      .serverOf(id)
      .deleteSession(id)
      .catch(() => undefined);
  }

  async #keepTranscript(key: string, attempt: number, turn: SentTurn | undefined, result: TaskResult): Promise<void> {
    const { store, pool, redaction, transcripts, onNote } = this.#options;
    const directory = turn && transcripts ? store.makeArtifacts(key, attempt) : undefined;
    if (!turn || !directory) return;
    const problem = await writeTranscript(directory, pool, turn, { ...result, id: key, attempt }, redaction.apply);
    if (problem === undefined) return;
    this.#unwritten.add(`${key}\0${attempt}`);
    onNote(problem);
  }

  /** To count the tasks is linear in them: it is done when the state is written, not with each row. */
  #showState(): void {
    const { store, plan } = this.#options;
    store.tellState(() =>
      stateOf({
        run: store.id,
        generation: plan.generation,
        counts: this.counts(),
        totals: this.#totals.now(),
        context: this.#actor.getSnapshot().context,
        startedAtMs: this.#startedAtMs,
      }),
    );
  }

  #close(): void {
    this.#stopListening();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#showState();
    this.#rows.end();
    this.#actor.stop();
  }
}
