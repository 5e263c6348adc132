import { Redactor } from '@opencode-manager/core';
import type { RunRecord } from '@opencode-manager/playground/trace';

export type Unnumbered = Omit<RunRecord, 'seq' | 'atMs'> & { readonly atMs?: number };

/** Records kept for readers that come late or come back. */
const defaultLimit = 50_000;

type Listener = () => void;

export interface JournalOptions {
  readonly now?: () => number;
  readonly limit?: number;
  /** Takes the secrets out of each record: what is not in the journal reaches no page and no trace file. */
  readonly redactor?: Redactor;
}

/**
 * The numbered records of a run, the newest ones whole. What is pushed out leaves its sum behind: one record for each
 * actor with its state, so that a late reader still sees every actor as it is.
 */
export class Journal {
  readonly #limit: number;
  readonly #redactor: Redactor;
  readonly #now: () => number;
  readonly #listeners = new Set<Listener>();
  readonly #base = new Map<string, RunRecord>();
  #records: RunRecord[] = [];
  #seq = 0;

  constructor({ now = Date.now, limit = defaultLimit, redactor = new Redactor() }: JournalOptions = {}) {
    this.#redactor = redactor;
    this.#now = now;
    this.#limit = limit;
  }

  get newestSeq(): number {
    return this.#seq;
  }

  append(record: Unnumbered): void {
    this.#seq += 1;
    this.#records.push({ seq: this.#seq, ...this.#redactor.json(record), atMs: record.atMs ?? this.#now() });
    if (this.#records.length > this.#limit) this.#dropOldest();
    for (const listener of this.#listeners) listener();
  }

  /** Records after a number. `complete` is false when some of them were pushed out: then the sums come first. */
  after(seq: number): { readonly complete: boolean; readonly records: readonly RunRecord[] } {
    const first = this.#records[0]?.seq ?? this.#seq + 1;
    if (seq >= first - 1 && seq <= this.#seq) return { complete: true, records: this.#records.slice(seq - first + 1) };
    const base = [...this.#base.values()].toSorted((a, b) => a.seq - b.seq);
    return { complete: false, records: [...base, ...this.#records] };
  }

  onAppend(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #dropOldest(): void {
    const count = Math.ceil(this.#limit / 10);
    for (const record of this.#records.slice(0, count)) {
      // Sessions that the pool has let go would pile up.
      if (record.type === 'xstate.stop') this.#base.delete(record.actor);
      else this.#base.set(record.actor, sumOf(this.#base.get(record.actor), record));
    }
    this.#records = this.#records.slice(count);
  }
}

/** Changes are kept in order: the reader applies them one after the other. */
function sumOf(before: RunRecord | undefined, record: RunRecord): RunRecord {
  const path = record.path ?? before?.path;
  const latest = new Map([...(before?.changes ?? []), ...(record.changes ?? [])].map((change) => [change.path, change]));
  return {
    seq: record.seq,
    atMs: record.atMs,
    actor: record.actor,
    type: 'earlier',
    ...(path !== undefined && { path }),
    changes: [...latest.values()],
  };
}
