import { mkdir } from 'node:fs/promises';
import { attemptArtifacts } from '../directory/layout.ts';
import type { JournalEvent, JournalRow } from '../journal/events.ts';
import type { Redact } from '../redact.ts';
import type { RunStore } from '../run/store.ts';
import type { Lease } from './lease.ts';

export interface LeasedStoreOptions {
  readonly lease: Lease;
  /** Names the lease in this process. */
  readonly id: string;
  /** Where transcripts and patches of its attempts are left. */
  readonly path: string;
  /** Told of the rows of its task alone: they are true once it resolves. */
  readonly write: (events: readonly JournalEvent[]) => Promise<void>;
}

/** Rows that say something of the task of a lease. What opens and ends its host is no part of the run that many hosts have. */
const told: ReadonlySet<JournalEvent['type']> = new Set([
  'attempt.intended',
  'attempt.repairing',
  'attempt.accepted',
  'attempt.ended',
  'attempt.superseded',
]);

/** Keeps what becomes of a leased task: a row counts when the port has taken it, and not before. */
export function leasedStore({ lease, id, path, write }: LeasedStoreOptions, redact: Redact): RunStore {
  const rows: JournalRow[] = [...lease.rows];
  const read = function* (after = 0): IterableIterator<JournalRow> {
    for (let at = 0; at < rows.length; at += 1) if (rows[at]!.sequence > after) yield rows[at]!;
  };
  const append = async (events: readonly JournalEvent[]) => {
    const clean = events.map((event) => redact(event));
    const mine = clean.filter(({ type }) => told.has(type));
    if (mine.length > 0) await write(mine);
    const last = rows.at(-1)?.sequence ?? 0;
    const added = clean.map((event, index): JournalRow => ({ sequence: last + index + 1, atMs: Date.now(), event }));
    rows.push(...added);
    return added;
  };
  return {
    id,
    path,
    journal: { append, read, close: async () => {} },
    begin: async () => {},
    addTasks: async () => {},
    readTasks: async () => [],
    addResults: async () => {},
    tellState: () => {},
    async makeArtifacts(key, attempt) {
      const directory = attemptArtifacts(path, key, attempt);
      await mkdir(directory, { recursive: true, mode: 0o700 });
      return directory;
    },
    rows: read,
    close: async () => {},
    discard: async () => {},
  };
}
