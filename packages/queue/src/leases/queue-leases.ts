import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isManagerError, toManagerError } from '@opencode-manager/core/errors';
import { leaseLost, supersededBy, type JournalEvent, type Lease, type LeasedTask, type LeasePort } from '@opencode-manager/runs';
import { foldJournal, isSettled, lostAttempt } from '@opencode-manager/runs/machine';
import type { Job, Worker } from 'bullmq';
import type { Ledger } from '../ledger/ledger.ts';
import { untilAnswered } from '../until-answered.ts';
import type { JobData } from './job-data.ts';
import type { LeaseOptions } from './lease-options.ts';

interface QueueLeasesOptions extends LeaseOptions {
  readonly ledger: Ledger;
  /** Takes jobs by hand: it has no processor. */
  readonly worker: Worker<JobData>;
}

interface Held {
  readonly job: Job<JobData>;
  /** The engine's own token for the job. */
  readonly lock: string;
  batch: number;
  /** Milliseconds since the epoch; later with each renewal. */
  expiresAtMs: number;
}

/** A paused run is looked at again after this time, in milliseconds. */
const pauseMs = 2000;

/** Where the queue does not answer, it is asked again after this time, in milliseconds. */
const troubleMs = 500;

/**
 * Leases of tasks in a queue. The engine hands jobs out, and hands those of a silent host out again; what counts is said by the ledger: a token that is
 * larger with each claim.
 */
export class QueueLeases<Given extends LeasedTask> implements LeasePort<Given> {
  readonly #options: QueueLeasesOptions;
  /** By the token in its run. */
  readonly #held = new Map<string, Held>();

  constructor(options: QueueLeasesOptions) {
    this.#options = options;
  }

  async take(signal: AbortSignal): Promise<Lease<Given> | undefined> {
    let isTroubled = false;
    while (!signal.aborted) {
      try {
        const lease = await this.#takeOne(signal);
        if (isTroubled) this.#options.onTrouble(undefined);
        isTroubled = false;
        if (lease) return lease;
      } catch (error) {
        if (signal.aborted) return undefined;
        if (!isTroubled) this.#options.onTrouble(toManagerError(error).message);
        isTroubled = true;
        await sleep(troubleMs);
      }
    }
    return undefined;
  }

  async renew(lease: Lease<Given>): Promise<number> {
    const { worker, leaseMs } = this.#options;
    const held = this.#heldBy(lease);
    const nowMs = Date.now();
    const lost = await worker.extendJobLocks([held.job.id!], [held.lock], leaseMs);
    if (lost.length > 0) throw leaseLost(lease.key, lease.token);
    held.expiresAtMs = nowMs + leaseMs;
    return held.expiresAtMs;
  }

  /** Tried again until the ledger has answered: a write that came through and was not answered is kept once. */
  async write(lease: Lease<Given>, events: readonly JournalEvent[]): Promise<void> {
    const { run, key, token } = lease;
    const held = this.#heldBy(lease);
    held.batch += 1;
    const writer = { run, key, token, batch: held.batch };
    const late = supersededBy(events);
    const { ledger, giveUp } = this.#options;
    if (Date.now() > held.expiresAtMs && !events.every(isGivenUp)) await this.#assertStillHeld(lease, late);
    if (!(await untilAnswered(() => ledger.write(writer, events, late), giveUp))) throw leaseLost(key, token);
  }

  /** Its lease has ended, by its own clock: it was frozen, and its deadlines with it. Unless the engine says that it has it still, nothing counts. */
  async #assertStillHeld(lease: Lease<Given>, late: readonly JournalEvent[]): Promise<void> {
    const { ledger, giveUp } = this.#options;
    const isHeld = await untilAnswered(() => this.#isHeld(lease), giveUp);
    if (isHeld) return;
    if (late.length > 0) await untilAnswered(() => ledger.append(lease.run, late), giveUp);
    throw leaseLost(lease.key, lease.token);
  }

  async #isHeld(lease: Lease<Given>): Promise<boolean> {
    try {
      await this.renew(lease);
      return true;
    } catch (error) {
      if (isManagerError(error, 'LEASE_LOST')) return false;
      throw error;
    }
  }

  async finish(lease: Lease<Given>): Promise<void> {
    await this.#letGo(lease, ({ job, lock }) => job.moveToCompleted('', lock, false));
  }

  async giveBack(lease: Lease<Given>, notBeforeMs?: number): Promise<void> {
    await this.#letGo(lease, ({ job, lock }) => putBack(job, lock, notBeforeMs));
  }

  /** One whose lock is gone by now is another host's; what is written stands in the ledger. */
  async #letGo(lease: Lease<Given>, act: (held: Held) => Promise<unknown>): Promise<void> {
    const held = this.#heldBy(lease);
    this.#held.delete(nameOf(lease));
    await act(held).catch(() => undefined);
  }

  #heldBy(lease: Lease<Given>): Held {
    const held = this.#held.get(nameOf(lease));
    if (!held) throw leaseLost(lease.key, lease.token);
    return held;
  }

  async #takeOne(signal: AbortSignal): Promise<Lease<Given> | undefined> {
    const { worker, notBefore } = this.#options;
    const lock = randomUUID();
    const job = await worker.getNextJob(lock, { block: true });
    if (!job) return undefined;
    try {
      const laterMs = signal.aborted ? 0 : notBefore(job.data);
      if (laterMs === undefined) return await this.#claim(job, lock);
      await putBack(job, lock, laterMs);
    } catch (error) {
      await putBack(job, lock, Date.now() + troubleMs).catch(() => undefined);
      throw error;
    }
    return undefined;
  }

  /** Undefined when nothing is to be done for the task, or not now. */
  async #claim(job: Job<JobData>, lock: string): Promise<Lease<Given> | undefined> {
    const { ledger, leaseMs } = this.#options;
    const { run, key, submission } = job.data;
    const expiresAtMs = Date.now() + leaseMs;
    const { isPaused, isCancelled } = await ledger.wishes(run);
    if (isPaused && !isCancelled) {
      await putBack(job, lock, Date.now() + pauseMs);
      return undefined;
    }
    const claim = isCancelled ? undefined : await ledger.claim(run, key, submission);
    if (!claim) return void (await job.moveToCompleted('', lock, false));
    const { token, rows, task } = claim;
    const lease = { run, key, token, expiresAtMs, task: JSON.parse(task) as Given };
    const before = foldJournal(rows).tasks[0];
    const lost = before && lostAttempt(before);
    const held: Held = { job, lock, batch: 0, expiresAtMs };
    this.#held.set(nameOf(lease), held);
    const known = lost ? [...rows, { sequence: rows.at(-1)!.sequence, atMs: Date.now(), event: lost }] : rows;
    const whole: Lease<Given> = { ...lease, rows: known, attempt: (before?.attempts ?? 0) + 1 };
    if (lost) await this.write(whole, [lost]);
    const record = foldJournal(known).tasks[0];
    if (record && !isSettled(record)) return whole;
    await this.finish(whole);
    return undefined;
  }
}

/** The end of an attempt that its host has aborted: its task runs again, whoever says so. */
function isGivenUp(event: JournalEvent): boolean {
  return event.type === 'attempt.ended' && event.abortedBy === 'manager';
}

function nameOf({ run, token }: Pick<Lease, 'run' | 'token'>): string {
  return `${run} ${token}`;
}

/** For any host, at once or after a time. */
async function putBack(job: Job<JobData>, lock: string, notBeforeMs = 0): Promise<void> {
  if (notBeforeMs > Date.now()) await job.moveToDelayed(notBeforeMs, lock);
  else await job.moveToWait(lock);
}
