import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { SessionPool, WorkspaceRequest, WorkspaceSource } from '@opencode-manager/actors';
import type { ServerConfig } from '@opencode-manager/core';
import { untilAnswered, type JobData, type LeaseSource, type QueueClient } from '@opencode-manager/queue';
import type { Lease } from '@opencode-manager/runs';
import type { ToldWorker } from '../queue/told-worker.ts';
import { manifestIn, type Manifest, type QueuedTask } from '../queue/manifest.ts';
import { placeSettings, runWorkspaces, type RunWorkspaces } from '../workspaces/index.ts';
import { LeasedTaskRun, leasePath } from './leased-task.ts';
import { Repositories } from './repositories.ts';

export interface WorkerOptions {
  readonly client: QueueClient;
  readonly pool: SessionPool;
  readonly config: ServerConfig;
  /** Of its opencode configuration: only runs with the same one are taken. */
  readonly configuration: string;
  /** Providers that its server knows; a task of another one is left to other hosts. */
  readonly providers: ReadonlySet<string>;
  /** Tasks at once. */
  readonly concurrency: number;
  readonly leaseMs: number;
  /** Its own directory. */
  readonly directory: string;
  /** A directory that all hosts see, for transcripts and patches. */
  readonly shared: string | undefined;
  readonly note: (line: string) => void;
}

/** How often wishes of users are looked at, in milliseconds: a cancel reaches every host within 2 s, with the time that an abort takes. */
const lookMs = 500;

/** How often this host tells others of itself, and learns which providers are held, in milliseconds. */
const beatMs = 2000;

/** A task that this host cannot carry out is offered again after this time, in milliseconds. */
const unsuitedMs = 5000;

/** Tasks of a provider that is held are looked at again after this time at most, in milliseconds. */
const heldMs = 20_000;

/** How long others know of this host without a further sign, in milliseconds. */
const knownMs = 15_000;

/** Why a host takes nothing of a run. */
interface Unable {
  readonly why: string;
  /** Until then the run is left to others, in milliseconds since the epoch; 0 where there are none. */
  readonly untilMs: number;
}

/** Takes tasks of a queue, and carries them out on one pool, until it is drained. */
export class QueueWorker {
  readonly #options: WorkerOptions;
  readonly #live = new Map<string, LeasedTaskRun>();
  readonly #parked = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  readonly #manifests = new Map<string, Promise<Manifest>>();
  readonly #workspaces = new Map<string, RunWorkspaces>();
  readonly #repositories: Repositories;
  readonly #stopping = new AbortController();
  readonly #givingUp = new AbortController();
  readonly #told = new Set<string>();
  /** Runs of which this host could not begin a task, by their names. */
  readonly #unable = new Map<string, Unable>();
  readonly id = `${hostname()}-${process.pid}`;
  #holds: Readonly<Record<string, number>> = {};
  #wake = Promise.withResolvers<void>();
  #problem: string | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#repositories = new Repositories(join(options.directory, 'repositories'), options.leaseMs / 2);
  }

  /** For the pool: the workspaces of whichever lease an attempt is of. */
  readonly source: WorkspaceSource = {
    acquire: (id, request) => this.#leaseOf(id).workspaces.acquire(id, request),
    reopen: (id, request) => this.#leaseOf(id).workspaces.reopen!(id, request),
  };

  /** Why it takes no tasks; undefined when it does. */
  get problem(): string | undefined {
    if (this.#stopping.signal.aborted) return 'it is draining';
    return this.#options.pool.snapshot().state === 'running' ? this.#problem : 'its server is not running';
  }

  get running(): number {
    return this.#running.size;
  }

  /** Takes tasks until it is drained; resolves when the last one has ended. */
  async work(): Promise<void> {
    const { client, configuration, leaseMs, note, pool } = this.#options;
    const taking = {
      name: this.id,
      leaseMs,
      giveUp: this.#givingUp.signal,
      notBefore: (job: JobData) => this.#notBefore(job),
      onTrouble: (problem: string | undefined) => this.#tellTrouble(problem),
    };
    await using source: LeaseSource<QueuedTask> = await untilAnswered(
      () => client.take<QueuedTask>(configuration, taking),
      this.#stopping.signal,
    );
    const timers = [
      setInterval(() => void this.#look().catch(() => undefined), lookMs),
      setInterval(() => void this.#beat().catch(() => undefined), beatMs),
    ];
    await this.#beat().catch(() => undefined);
    const stopListening = pool.on('provider.changed', ({ provider: { id, heldUntilMs } }) => {
      if (id !== null && heldUntilMs !== null) void client.ledger.hold(id, heldUntilMs).catch(() => undefined);
    });
    try {
      while (!this.#stopping.signal.aborted) {
        await this.#slot();
        const lease = await source.leases.take(this.#stopping.signal);
        if (lease) this.#begin(lease, source);
      }
      note(`Taking no more tasks; ${this.#live.size} run.`);
      await Promise.all(this.#running);
    } finally {
      for (const timer of timers) clearInterval(timer);
      stopListening();
      for (const workspaces of this.#workspaces.values()) await workspaces.close();
    }
  }

  /** Takes no more tasks, and lets what runs come to its end. */
  drain(): void {
    this.#stopping.abort();
    for (const one of this.#live.values()) one.drain();
  }

  /** Ends what runs: other hosts take it. */
  abort(): void {
    this.drain();
    for (const one of this.#live.values()) one.abort('The worker is stopping.');
  }

  /** What cannot be written to the queue is left: its leases end. */
  giveUp(): void {
    this.abort();
    this.#givingUp.abort();
  }

  #begin(lease: Lease<QueuedTask>, { leases }: LeaseSource<QueuedTask>): void {
    const work = this.#carryOut(lease, leases).finally(() => {
      this.#running.delete(work);
      this.#freeSlot();
    });
    this.#running.add(work);
  }

  async #carryOut(lease: Lease<QueuedTask>, leases: LeaseSource<QueuedTask>['leases']): Promise<void> {
    const { client, pool, config, directory, shared, leaseMs, note } = this.#options;
    const manifest = await this.#manifestOf(lease.run).catch(() => undefined);
    if (!manifest) return leases.giveBack(lease, Date.now() + unsuitedMs);
    const id = `${lease.run}.${lease.token}`;
    const path = leasePath(directory, id);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const workspaces = this.#workspacesOf(lease, manifest);
    const { ledger } = client;
    const onParked = (isParked: boolean) => this.#setParked(id, isParked);
    const giveUp = this.#givingUp.signal;
    const onBegun = () => void this.#unable.delete(lease.run);
    const onUnable = (why: string) => this.#setUnable(lease.run, why);
    const common = {
      lease,
      leases,
      ledger,
      manifest,
      pool,
      config,
      workspaces,
      path,
      shared,
      leaseMs,
      giveUp,
      note,
      onParked,
      onUnable,
      onBegun,
    };
    const one = new LeasedTaskRun({ ...common, repositories: this.#repositories });
    this.#live.set(id, one);
    if (this.#stopping.signal.aborted) one.abort('The worker is stopping.');
    try {
      await one.carryOut();
    } finally {
      this.#live.delete(id);
      this.#parked.delete(id);
    }
  }

  #manifestOf(run: string): Promise<Manifest> {
    const known =
      this.#manifests.get(run) ??
      this.#options.client.ledger.run(run).then((found) => {
        if (!found) throw new Error(`The queue has no run ${run} any more.`);
        return manifestIn(run, found.manifest);
      });
    this.#manifests.set(run, known);
    known.catch(() => this.#manifests.delete(run));
    return known;
  }

  /** Names of places are of this lease: the same task may be leased here again while what it had left is taken away. */
  #workspacesOf({ run, token }: Lease, manifest: Manifest): WorkspaceSource {
    const made = this.#workspaces.get(run) ?? this.#openWorkspaces(run, manifest);
    this.#workspaces.set(run, made);
    const named = (key: string) => `${key} ${token}`;
    return {
      acquire: (key: string, request: WorkspaceRequest) => made.source.acquire(named(key), request),
      reopen: (key: string, request: WorkspaceRequest) => made.source.reopen!(named(key), request),
    };
  }

  #openWorkspaces(run: string, { flags }: Manifest): RunWorkspaces {
    const path = join(this.#options.directory, 'runs', run);
    return runWorkspaces({
      plan: { mode: 'clone', wanted: [], settings: placeSettings(flags, new Set(['clone'])) },
      place: { id: refNameOf(run), path, isNamed: true },
      baseOf: async (directory) => this.#repositories.baseOf(directory),
      onNote: this.#options.note,
    });
  }

  #leaseOf(id: string): LeasedTaskRun {
    return this.#live.get(id.split(' ', 1)[0]!)!;
  }

  async #slot(): Promise<void> {
    // Counted from the lease on: what begins is not live yet.
    while (!this.#stopping.signal.aborted && this.#running.size - this.#parked.size >= this.#options.concurrency) await this.#wake.promise;
  }

  #freeSlot(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  #setParked(id: string, isParked: boolean): void {
    if (isParked) this.#parked.add(id);
    else this.#parked.delete(id);
    this.#freeSlot();
  }

  /**
   * Tells others, and leaves the run to them for a lease; then it is tried again. Whether there is another host that may: one that lacks something must
   * not end the tasks that another can carry out.
   */
  async #setUnable(run: string, why: string): Promise<boolean> {
    const { client, configuration, leaseMs } = this.#options;
    this.#tellOnce(`${run}: ${why}`);
    this.#unable.set(run, { why, untilMs: 0 });
    await this.#beat();
    const others = (await client.ledger.workers()).filter(({ id }) => id !== this.id).map(({ told }) => JSON.parse(told) as ToldWorker);
    const areOthers = others.some((other) => other.configuration === configuration && other.unable?.[run] === undefined);
    if (areOthers) this.#unable.set(run, { why, untilMs: Date.now() + leaseMs });
    return areOthers;
  }

  /** A provider that is held is held for all hosts; what asks it waits in the queue. */
  #notBefore({ provider, run, key }: JobData): number | undefined {
    if ((this.#unable.get(run)?.untilMs ?? 0) > Date.now()) return Date.now() + unsuitedMs * Math.random();
    if (provider === undefined) return undefined;
    const heldUntilMs = this.#holds[provider] ?? 0;
    // A user may let it go on before that.
    if (heldUntilMs > Date.now()) return Math.min(heldUntilMs, Date.now() + heldMs) + Math.round(1000 * Math.random());
    if (this.#options.providers.has(provider)) return undefined;
    this.#tellOnce(
      `${run}: ${key} asks the provider ${provider}, which this worker does not have. Name it with --provider ${provider}, or give it to another worker.`,
    );
    return Date.now() + unsuitedMs;
  }

  /** Holds of providers, and a sign to others. */
  async #beat(): Promise<void> {
    const { ledger } = this.#options.client;
    const before = this.#holds;
    this.#holds = await ledger.holds();
    // A user has let it go on: what waits on this host goes on too.
    for (const [provider, untilMs] of Object.entries(before))
      if (untilMs > Date.now() + 1000 && !(provider in this.#holds)) for (const one of this.#live.values()) one.resumeProvider(provider);
    const told = { host: hostname(), pid: process.pid, running: this.running, concurrency: this.#options.concurrency };
    const unable = Object.fromEntries([...this.#unable].map(([run, { why }]) => [run, why]));
    const said: ToldWorker = { ...told, configuration: this.#options.configuration, ...(this.#unable.size > 0 && { unable }) };
    await ledger.beat({ id: this.id, told: JSON.stringify(said) }, knownMs);
  }

  /** Wishes of users. */
  async #look(): Promise<void> {
    const { ledger } = this.#options.client;
    for (const run of new Set([...this.#live.values()].map(({ lease }) => lease.run))) {
      const { isCancelled, cancelled } = await ledger.wishes(run);
      const mine = [...this.#live.values()].filter(({ lease }) => lease.run === run);
      for (const one of mine) {
        if (isCancelled) one.abort('A user has cancelled the run.', true);
        else if (cancelled.includes(one.lease.key)) one.cancel();
      }
    }
  }

  #tellTrouble(problem: string | undefined): void {
    this.#problem = problem && 'the queue does not answer';
    this.#options.note(problem === undefined ? 'The queue answers again.' : `The queue does not answer (${problem}); trying again.`);
  }

  #tellOnce(line: string): void {
    if (this.#told.has(line)) return;
    if (this.#told.size < 100) this.#told.add(line);
    this.#options.note(line);
  }
}

/** A part of a ref that names a run: refs take less than names of runs do. */
function refNameOf(run: string): string {
  return `${run.replaceAll(/[^A-Za-z0-9]/g, '-')}-${createHash('sha256').update(run).digest('hex').slice(0, 8)}`;
}
