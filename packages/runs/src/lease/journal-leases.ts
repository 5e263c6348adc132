import { failure } from '../errors.ts';
import type { Journal, JournalEvent, JournalRow } from '../journal/events.ts';
import { foldJournal } from '../machine/fold-journal.ts';
import { isSettled, lostAttempt } from '../machine/lost-attempt.ts';
import type { TaskRecord } from '../machine/task-record.ts';
import { supersededBy, type Lease, type LeasedTask, type LeasePort } from './lease.ts';

export interface JournalLeasesOptions<Given extends LeasedTask> {
  /** Name of the run. */
  readonly run: string;
  /** Names each task by a row `task.added`. */
  readonly journal: Journal;
  readonly tasks: ReadonlyMap<string, Given>;
  /** How long a lease holds without a renewal, in milliseconds. */
  readonly leaseMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface Held {
  readonly token: number;
  readonly expiresAtMs: number;
}

/** How often is looked for a task that can be taken, in milliseconds. */
const lookMs = 20;

/** Leases of the tasks of one journal, for hosts in this process: the journal of a run directory, or one in memory. */
export class JournalLeases<Given extends LeasedTask> implements LeasePort<Given> {
  readonly #options: JournalLeasesOptions<Given>;
  readonly #held = new Map<string, Held>();
  readonly #notBefore = new Map<string, number>();
  #tokens: number;

  constructor(options: JournalLeasesOptions<Given>) {
    this.#options = options;
    // Above those of every process that had the journal before.
    this.#tokens = foldJournal(options.journal.read()).lastSequence;
  }

  async take(signal: AbortSignal): Promise<Lease<Given> | undefined> {
    while (!signal.aborted) {
      const key = this.#free();
      const lease = key === undefined ? undefined : await this.#lease(key);
      if (lease) return lease;
      if (key === undefined) await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
    return undefined;
  }

  renew(lease: Lease<Given>): Promise<number> {
    return this.#asHolder(lease, () => this.#hold(lease.key, lease.token));
  }

  async write(lease: Lease<Given>, events: readonly JournalEvent[]): Promise<void> {
    const { journal } = this.#options;
    await this.#asHolder(lease, () => journal.append(events)).catch(async (error: unknown) => {
      const late = supersededBy(events);
      if (late.length > 0) await journal.append(late);
      throw error;
    });
  }

  finish(lease: Lease<Given>): Promise<void> {
    return this.#asHolder(lease, () => void this.#held.delete(lease.key));
  }

  giveBack(lease: Lease<Given>, notBeforeMs = 0): Promise<void> {
    return this.#asHolder(lease, () => {
      this.#held.delete(lease.key);
      this.#notBefore.set(lease.key, notBeforeMs);
    });
  }

  #free(): string | undefined {
    const nowMs = this.#options.now();
    const isFree = ({ key }: TaskRecord) => (this.#held.get(key)?.expiresAtMs ?? 0) <= nowMs && (this.#notBefore.get(key) ?? 0) <= nowMs;
    return foldJournal(this.#options.journal.read()).tasks.find((task) => !isSettled(task) && isFree(task))?.key;
  }

  /** Undefined when the loss of the lease before it was the end of the task. */
  async #lease(key: string): Promise<Lease<Given> | undefined> {
    const { run, journal, tasks } = this.#options;
    const token = (this.#tokens += 1);
    const expiresAtMs = this.#hold(key, token);
    const before = recordOf(journal, key);
    const lost = lostAttempt(before);
    if (lost) await journal.append([lost]);
    const record = recordOf(journal, key);
    if (!isSettled(record))
      return { run, key, task: tasks.get(key)!, attempt: record.attempts + 1, token, expiresAtMs, rows: rowsOf(journal, key) };
    this.#held.delete(key);
    return undefined;
  }

  #hold(key: string, token: number): number {
    const expiresAtMs = this.#options.now() + this.#options.leaseMs;
    this.#held.set(key, { token, expiresAtMs });
    return expiresAtMs;
  }

  /** Nobody has taken it since: then its holder has it still, late or not. */
  async #asHolder<T>({ key, token }: Lease<Given>, act: () => T | Promise<T>): Promise<T> {
    if (this.#held.get(key)?.token !== token) throw leaseLost(key, token);
    return act();
  }
}

function rowsOf(journal: Journal, key: string): JournalRow[] {
  return [...journal.read()].filter(({ event }) => 'key' in event && event.key === key);
}

function recordOf(journal: Journal, key: string): TaskRecord {
  return foldJournal(rowsOf(journal, key)).tasks[0]!;
}

/** `LEASE_LOST` of a host whose task another one has by now. */
export function leaseLost(key: string, token: number) {
  const message = `The lease ${token} of task ${key} has ended, and another host may have the task. What this one does for it counts for nothing.`;
  return failure('LEASE_LOST', message, { key, token });
}
