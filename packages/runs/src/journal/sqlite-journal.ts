import { closeSync, fsyncSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { loadSqlite } from '@opencode-manager/workspaces/keep';
import { failure, gone, isErrno, namingRoom, unreadable, wordsOf } from '../errors.ts';
import { redactNothing, type Redact } from '../redact.ts';
import type { Journal, JournalEvent, JournalRow } from './events.ts';
import { checkTables, makeTables, writerSettings } from './schema.ts';
import { explainSqlite } from './sqlite-errors.ts';

export interface JournalOptions {
  /** For those who look at a run while another process writes it. `append` is refused then. Default: false. */
  readonly readOnly?: boolean;
  /** Applied to each event before it is written. */
  readonly redact?: Redact;
}

/**
 * Opens the journal of an existing run. Guarantees:
 * - a row whose `append` has resolved is there after a kill or a loss of power;
 * - `sequence` has no gaps; nothing changes or removes a row;
 * - readers see what is committed, while the writer lives and after its death.
 * The caller sees to it that one process writes (the lock of the run); a second one ends with `RUN_LOCKED` at its first row.
 * @throws `RUN_UNREADABLE` when it is missing, damaged, of a newer version, or no journal; it is never begun anew
 * @example
 * const journal = openJournal(join(run, 'journal.sqlite'), { readOnly: true })
 * for (const { sequence, event } of journal.read()) console.log(sequence, event.type)
 * await journal.close()
 */
export function openJournal(path: string, options: JournalOptions = {}): Journal {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) throw unreadable(path, 'is missing');
  return explained(path, () => open(path, options, (database) => checkTables(database, path)));
}

/**
 * Makes the journal of a new run, for the user alone, and opens it.
 * @throws `RUN_STORAGE_FULL`; `RUN_LOCKED` when the file exists
 */
export function createJournal(path: string, options: Omit<JournalOptions, 'readOnly'> = {}): Journal {
  try {
    // SQLite gives its other files the mode of this one. Nothing else may open this path in this process: closing it would end SQLite's locks.
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw namingRoom(error, path);
    throw failure('RUN_LOCKED', `${path} exists: another process began this run. Resume it, or start one in another directory.`, { path });
  }
  const journal = explained(path, () => open(path, options, makeTables));
  syncDirectory(dirname(path));
  return journal;
}

function open(path: string, { readOnly = false, redact = redactNothing }: JournalOptions, prepare: (database: DatabaseSync) => void) {
  // This way SQLite makes no file where there is none.
  const url = pathToFileURL(path);
  url.searchParams.set('mode', readOnly ? 'ro' : 'rw');
  const database = new (loadSqlite().DatabaseSync)(url, { readOnly, enableForeignKeyConstraints: false, timeout: 5000 });
  try {
    if (!readOnly) database.exec(writerSettings);
    prepare(database);
    return new SqliteJournal(path, database, readOnly, redact);
  } catch (error) {
    database.close();
    throw error;
  }
}

function explained<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explainSqlite(error, path);
  }
}

/** A new file is there after a loss of power only when its directory was synced too. */
function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** One call of `append` that waits for the end of the tick. */
interface PendingAppend {
  readonly events: readonly WrittenEvent[];
  readonly resolve: (rows: readonly JournalRow[]) => void;
  readonly reject: (error: unknown) => void;
}

interface WrittenEvent {
  readonly event: JournalEvent;
  readonly text: string;
}

interface StoredRow {
  readonly sequence: number;
  readonly at_ms: number;
  readonly event: string;
}

/** Rows that are read at once: an open statement would keep SQLite from clearing its log. */
const rowsOfPage = 1000;

/** The journal on a connection of its own. Reading and writing block this thread; see {@link openJournal} for what it guarantees. */
class SqliteJournal implements Journal {
  private readonly path: string;
  private readonly database: DatabaseSync;
  private readonly readOnly: boolean;
  private readonly redact: Redact;
  private readonly inode: number;
  private readonly insert: StatementSync | undefined;
  private readonly page: StatementSync;
  private lastSequence: number;
  private pending: PendingAppend[] = [];
  private tick: NodeJS.Immediate | undefined;
  private isClosed = false;

  constructor(path: string, database: DatabaseSync, readOnly: boolean, redact: Redact) {
    this.path = path;
    this.database = database;
    this.readOnly = readOnly;
    this.redact = redact;
    this.inode = statSync(path).ino;
    if (!readOnly) this.insert = database.prepare('INSERT INTO journal (sequence, at_ms, type, key, event) VALUES (?, ?, ?, ?, ?)');
    this.page = database.prepare(`SELECT sequence, at_ms, event FROM journal WHERE sequence > ? ORDER BY sequence LIMIT ${rowsOfPage}`);
    this.lastSequence = Number(database.prepare('SELECT coalesce(max(sequence), 0) AS last FROM journal').get()?.['last']);
  }

  append(events: readonly JournalEvent[]): Promise<readonly JournalRow[]> {
    return new Promise((resolve, reject) => {
      this.refuseUnusable();
      if (events.length === 0) return resolve([]);
      // Here, so that what is no JSON fails its own call alone.
      const written = events.map((given) => {
        const event = this.redact(given);
        return { event, text: JSON.stringify(event) };
      });
      this.pending.push({ events: written, resolve, reject });
      this.tick ??= setImmediate(() => this.commitPending());
    });
  }

  *read(afterSequence = 0): Generator<JournalRow> {
    for (let last = afterSequence; ;) {
      if (this.isClosed) throw closed(this.path);
      const rows = explained(this.path, () => this.page.all(last) as unknown as StoredRow[]);
      for (const { sequence, at_ms: atMs, event } of rows) {
        last = sequence;
        yield { sequence, atMs, event: eventIn(event, sequence, this.path) };
      }
      if (rows.length < rowsOfPage) return;
    }
  }

  close(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    this.commitPending();
    this.isClosed = true;
    this.database.close();
    return Promise.resolve();
  }

  private refuseUnusable(): void {
    if (this.isClosed) throw closed(this.path);
    if (this.readOnly) throw failure('INTERNAL', `${this.path} is open for reading alone.`, { path: this.path });
  }

  /** All calls of a tick in one transaction: it costs one sync, and blocks this thread for 0.2 to 3 ms. */
  private commitPending(): void {
    clearImmediate(this.tick);
    this.tick = undefined;
    const calls = this.pending;
    this.pending = [];
    if (calls.length === 0) return;
    try {
      const rows = this.commit(calls);
      for (const [index, { resolve }] of calls.entries()) resolve(rows[index]!);
    } catch (error) {
      const reason = explainSqlite(error, this.path);
      for (const { reject } of calls) reject(reason);
    }
  }

  private commit(calls: readonly PendingAppend[]): readonly (readonly JournalRow[])[] {
    this.refuseGone();
    const atMs = Date.now();
    let sequence = this.lastSequence;
    this.database.exec('BEGIN IMMEDIATE');
    try {
      const rows = calls.map(({ events }) =>
        events.map(({ event, text }): JournalRow => {
          sequence += 1;
          this.insert!.run(sequence, atMs, event.type, 'key' in event ? event.key : null, text);
          return { sequence, atMs, event };
        }),
      );
      this.database.exec('COMMIT');
      this.lastSequence = sequence;
      return rows;
    } catch (error) {
      // SQLite has taken some failures back by itself.
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }

  /** SQLite goes on writing into a file that was removed, and says nothing. */
  private refuseGone(): void {
    if (statSync(this.path, { throwIfNoEntry: false })?.ino !== this.inode) throw gone(this.path);
  }
}

function closed(path: string) {
  return failure('INTERNAL', `${path}: this journal is closed.`, { path });
}

function eventIn(text: string, sequence: number, path: string): JournalEvent {
  try {
    return JSON.parse(text) as JournalEvent;
  } catch (error) {
    throw unreadable(path, `is damaged: row ${sequence} is no JSON (${wordsOf(error)})`, error);
  }
}
