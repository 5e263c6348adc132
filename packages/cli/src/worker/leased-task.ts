import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SessionPool, TaskResult, WorkspaceSource } from '@opencode-manager/actors';
import { isManagerError, OpencodeManagerError, toManagerError, type ServerConfig } from '@opencode-manager/core';
import type { Ledger } from '@opencode-manager/queue';
import { foldJournal, unableAttempt } from '@opencode-manager/runs/machine';
import {
  prepareLeased,
  type JournalEvent,
  type Lease,
  type LeasePort,
  type PreparedRun,
  type Run,
  type RunOptions,
} from '@opencode-manager/runs';
import { runSettings } from '../batch/request.ts';
import { providerOf, type Manifest, type QueuedTask } from '../queue/manifest.ts';
import type { RunFlags } from '../flags.ts';
import { sendFiles } from './left-files.ts';
import type { Repositories } from './repositories.ts';

export interface LeasedTaskOptions {
  readonly lease: Lease<QueuedTask>;
  readonly leases: LeasePort<QueuedTask>;
  readonly ledger: Ledger;
  readonly manifest: Manifest;
  readonly pool: SessionPool;
  readonly config: ServerConfig;
  readonly repositories: Repositories;
  readonly workspaces: WorkspaceSource;
  /** Directory of this lease. */
  readonly path: string;
  readonly shared: string | undefined;
  readonly leaseMs: number;
  /** Once it is aborted, a queue that does not answer is not asked again. */
  readonly giveUp: AbortSignal;
  readonly note: (line: string) => void;
  readonly onBegun: () => void;
  /** This host cannot begin it: says why, and whether there is another host that may. */
  readonly onUnable: (why: string) => Promise<boolean>;
  /** Its attempt waits for a quota, or goes on: others may have its slot meanwhile. */
  readonly onParked: (isParked: boolean) => void;
}

/** The time that a provider gets after the reset of its quota, in milliseconds. */
const afterResetMs = 45_000;

/** A task that this host cannot begin is offered to others again after this time, in milliseconds. */
const unableMs = 2000;

/** How often in a lease it is renewed. Two that fail one after the other end what runs before the lease ends. */
const renewals = 3;

/** A task while this host has its lease. */
export class LeasedTaskRun {
  readonly #options: LeasedTaskOptions;
  readonly id: string;
  #prepared: PreparedRun | undefined;
  #run: Run | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #missed = 0;
  #isOver = false;
  #stopped: string | undefined;

  constructor(options: LeasedTaskOptions) {
    this.#options = options;
    this.id = `${options.lease.run}.${options.lease.token}`;
  }

  /** Of the attempts of this lease, by the names that the pool has for them. */
  get workspaces(): WorkspaceSource {
    return this.#prepared!.pool.workspaces!;
  }

  get lease(): Lease<QueuedTask> {
    return this.#options.lease;
  }

  /** Carries the task as far as it comes here. Never throws. */
  async carryOut(): Promise<void> {
    const { lease, leases, leaseMs, path } = this.#options;
    this.#renewal = setInterval(() => void this.#renew(), leaseMs / renewals);
    try {
      const reason = await this.#runTask();
      // What is written needs no lease any more, and one that is being let go is not lost.
      clearInterval(this.#renewal);
      this.#isOver = true;
      // Of a run that is cancelled nothing is left to do here; its tasks are submitted again with it.
      if (reason === 'done' || this.#stopped === 'cancelled') await leases.finish(lease);
      else await leases.giveBack(lease);
    } catch (error) {
      await this.#giveUp(error).catch(() => leases.giveBack(lease, Date.now() + leaseMs).catch(() => undefined));
    } finally {
      clearInterval(this.#renewal);
      await rm(path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
    }
  }

  /** What could not be begun here is for another host. Where no host can begin it, that is an attempt: the run would never end, and nobody know why. */
  async #giveUp(error: unknown): Promise<void> {
    const { lease, leases, leaseMs, onUnable, note } = this.#options;
    const { token, rows } = lease;
    const known = toManagerError(error);
    if (this.#run !== undefined || this.#stopped !== undefined || known.code === 'LEASE_LOST') {
      if (known.code !== 'LEASE_LOST') note(`${lease.run}: ${lease.key}: ${known.message}`);
      return leases.giveBack(lease, Date.now() + leaseMs);
    }
    if (await onUnable(known.message)) return leases.giveBack(lease, Date.now() + unableMs);
    const { code, message } = known;
    const end = unableAttempt(foldJournal(rows).tasks[0]!, { token, error: { name: known.name, code, message } });
    await leases.write(lease, [end]);
    return end.final ? leases.finish(lease) : leases.giveBack(lease, Date.now() + leaseMs);
  }

  /** Ends what runs; the task goes on elsewhere, or nowhere when its run is cancelled. */
  abort(why: string, isCancelled = false): void {
    this.#stopped ??= isCancelled ? 'cancelled' : 'stopped';
    this.#run?.abort(why);
  }

  resumeProvider(provider: string): void {
    this.#run?.resumeProvider(provider);
  }

  drain(): void {
    // What is parked, or waits for its next attempt, would keep this host: another one takes it.
    this.#run?.drain();
  }

  /** A user wants no more of the task. */
  cancel(): void {
    // One that is over by now has nothing to cancel.
    void this.#run?.control?.cancelTasks([this.lease.key]).catch(() => undefined);
  }

  async #runTask(): Promise<string> {
    const { lease, pool, path } = this.#options;
    const options = await this.#runOptions();
    const prepared = prepareLeased(options, lease, { id: this.id, path, write: (events) => this.#write(events) });
    this.#prepared = prepared;
    if (prepared.isDone) return 'done';
    const run = await prepared.start({ pool, sharesPool: true, stop: async () => {} });
    this.#run = run;
    this.#options.onBegun();
    if (this.#stopped !== undefined) run.abort('The worker is stopping.');
    void this.#watchParks(run).catch(() => undefined);
    const { reason } = await run.ended;
    return reason;
  }

  async #runOptions(): Promise<Omit<RunOptions, 'tasks'>> {
    const { lease, config, manifest, repositories, workspaces, note, pool } = this.#options;
    const { place, task } = lease.task;
    const directory = place.type === 'clone' ? await repositories.directoryOf(place) : await sharedDirectory(place.path);
    const flags = manifest.flags as RunFlags;
    // The task is plain JSON of this process alone: its directory is where this host has it.
    Object.assign(task, { directory, workspace: place.type });
    return {
      directory: pool.server.directory,
      server: config,
      pool: { workspaces, workspace: place.type },
      settings: { ...runSettings(flags, 1), concurrency: 1 },
      ...(flags.transcripts === false && { transcripts: false }),
      onNote: note,
    };
  }

  async #write(events: readonly JournalEvent[]): Promise<void> {
    const { lease, leases } = this.#options;
    const sent: JournalEvent[] = [];
    for (const event of events) {
      sent.push(event.type === 'attempt.ended' ? await sendFiles(this.#options, event) : event);
      if (event.type === 'attempt.ended') await this.#holdProvider(event.result).catch(() => undefined);
    }
    await leases.write(lease, sent);
  }

  /** A quota that is spent here is spent for all hosts. */
  async #holdProvider({ outcome, reset_at: resetAt, model }: TaskResult): Promise<void> {
    const provider = providerOf(model ?? undefined);
    if (outcome !== 'quota_exhausted' || resetAt === undefined || provider === undefined) return;
    await this.#options.ledger.hold(provider, Date.parse(resetAt) + afterResetMs);
  }

  async #renew(): Promise<void> {
    const { lease, leases, leaseMs, note } = this.#options;
    try {
      await withinMs(leases.renew(lease), leaseMs / renewals);
      this.#missed = 0;
    } catch (error) {
      this.#missed += 1;
      const isLost = isManagerError(error, 'LEASE_LOST');
      if (!isLost && this.#missed < 2) return;
      if (this.#run && !this.#isOver && this.#stopped === undefined)
        note(`${lease.run}: ${lease.key}: its lease is lost; what runs here is ended.`);
      this.abort('The lease of the task is lost.');
    }
  }

  /** A parked attempt keeps its session and its place, and gives its slot back. */
  async #watchParks(run: Run): Promise<void> {
    for await (const { event } of run.events(run.startSequence)) {
      if (event.type === 'attempt.ended' && event.outcome === 'quota_exhausted' && !event.final) this.#options.onParked(true);
      if (event.type === 'attempt.intended') this.#options.onParked(false);
    }
  }
}

/** @throws OpencodeManagerError `WORKSPACE_SOURCE_INVALID` where this host does not see it */
async function sharedDirectory(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return path;
  throw new OpencodeManagerError('WORKSPACE_SOURCE_INVALID', `The directory ${path} is not there on this host. All hosts have to see it.`, {
    details: { path },
  });
}

function withinMs<T>(work: Promise<T>, ms: number): Promise<T> {
  work.catch(() => undefined);
  const late = new Promise<never>((_, reject) =>
    setTimeout(() => reject(new OpencodeManagerError('REQUEST_TIMEOUT', 'The queue did not answer.')), ms).unref(),
  );
  return Promise.race([work, late]);
}

export const leasePath = (root: string, id: string): string => join(root, 'leases', id);
