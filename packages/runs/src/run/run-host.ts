import type { SentTurn, SessionPool, TaskResult } from '@opencode-manager/actors';
import { OpencodeManagerError, toManagerError } from '@opencode-manager/core/errors';
import { createActor, type ActorRefFrom } from 'xstate';
import type { RunDirectory } from '../directory/run-directory.ts';
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
import type { Redact } from '../redact.ts';
import { Announced } from './announced.ts';
import { Attempts } from './attempts.ts';
import { writeTranscript } from './transcripts.ts';
import type { FinalResult, RunSummary, RunTaskSpec } from './types.ts';

type Params<Type extends RunEffect['type']> = Extract<RunEffect, { readonly type: Type }>['params'];

export interface RunHostOptions {
  readonly directory: RunDirectory;
  readonly pool: SessionPool;
  readonly plan: ResumePlan;
  readonly settings: Partial<RunSettings>;
  readonly tasks: ReadonlyMap<string, RunTaskSpec>;
  readonly taskTimeoutMs: number | undefined;
  readonly reused: readonly FinalResult[];
  readonly rows: Iterable<JournalRow>;
  readonly redact: Redact;
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
  readonly #results: Announced<FinalResult>;
  readonly #rows: Announced<JournalRow>;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #ended = Promise.withResolvers<RunSummary>();
  #stopListening: () => void = () => {};

  constructor(options: RunHostOptions) {
    this.#options = options;
    const { pool, tasks, plan, settings, taskTimeoutMs } = options;
    const send = (event: RunMachineEvent) => this.#send(event);
    this.#attempts = new Attempts({ pool, tasks, taskTimeoutMs, send, keepTranscript: (...attempt) => this.#keepTranscript(...attempt) });
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
        ended: (_, { reason, why, counts }) => this.#ended.resolve({ reason, why, counts }),
      },
    });
    this.#actor = createActor(machine, { input: { plan, settings } });
    this.#rows = new Announced(options.rows);
    this.#results = new Announced(options.reused);
    void this.#ended.promise.then(() => this.#close());
  }

  get ended(): Promise<RunSummary> {
    return this.#ended.promise;
  }

  start(): void {
    const { pool } = this.#options;
    this.#actor.start();
    this.#stopListening = this.#followServer();
    this.#send({ type: 'run.open', atMs: Date.now() });
    if (pool.snapshot().state === 'running') this.#send({ type: 'server.ready', atMs: Date.now() });
  }

  counts(): RunCounts {
    return countTasks(this.#actor.getSnapshot().context);
  }

  results(): AsyncIterableIterator<FinalResult, undefined> {
    return this.#results.read();
  }

  events(afterSequence = 0): AsyncIterableIterator<JournalRow, undefined> {
    return this.#rows.read(({ sequence }) => sequence > afterSequence);
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

  /** The machine hears of deaths before the ends that they bring. */
  #followServer(): () => void {
    const { pool } = this.#options;
    const lost = new OpencodeManagerError('SERVER_EXITED', 'The server of the run was lost.').toJSON();
    return pool.on('pool.changed', ({ state }) => {
      const atMs = Date.now();
      if (state === 'recovering') this.#send({ type: 'server.died', error: pool.snapshot().error ?? lost, atMs });
      else if (state === 'running') this.#send({ type: 'server.ready', atMs });
      else if (state === 'failed') this.#send({ type: 'server.gone', error: pool.snapshot().error ?? lost, atMs });
    });
  }

  async #commit({ batch, events }: Params<'commit'>): Promise<void> {
    const { directory } = this.#options;
    let rows: readonly JournalRow[];
    try {
      rows = await directory.journal.append(events);
    } catch (error) {
      return this.#send({ type: 'journal.failed', batch, error: toManagerError(error).toJSON(), atMs: Date.now() });
    }
    // What is derived is brought up to the journal when it is opened the next time.
    await directory.addResults(rows).catch(() => undefined);
    for (const row of rows) this.#rows.add(row);
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

  #tell(end: Params<'told'>): void {
    if (end.type !== 'attempt' || !end.final) return;
    const { key, attempt, outcome, result } = end;
    this.#results.add({ key, attempt, outcome, result, reused: false });
    void this.#forgetSession(result);
  }

  /** Its result and its transcript are on the disk. */
  async #forgetSession({ session_id: id }: TaskResult): Promise<void> {
    if (id === null || !this.#options.transcripts) return;
    await this.#options.pool
      .serverOf(id)
      .deleteSession(id)
      .catch(() => undefined);
  }

  async #keepTranscript(key: string, attempt: number, turn: SentTurn | undefined, result: TaskResult): Promise<void> {
    const { directory, pool, redact, transcripts, onNote } = this.#options;
    if (!turn || !transcripts) return;
    const problem = await writeTranscript(directory, pool, turn, { ...result, id: key, attempt }, redact);
    if (problem !== undefined) onNote(problem);
  }

  #showState(): void {
    const { directory, plan } = this.#options;
    const { context } = this.#actor.getSnapshot();
    const { total, outcomes, skipped, notStarted, reused, dropped } = this.counts();
    directory.tellState({
      schema_version: 1,
      run: directory.run.id,
      pid: process.pid,
      generation: plan.generation,
      total,
      running: context.flights.length,
      outcomes,
      skipped,
      not_started: notStarted,
      reused,
      dropped,
      ended: context.closing === 'closed' ? (context.ending?.reason ?? 'done') : null,
      updated_at: new Date().toISOString(),
    });
  }

  #close(): void {
    this.#stopListening();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#showState();
    this.#results.end();
    this.#rows.end();
    this.#actor.stop();
  }
}
