import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { loadSqlite } from '@opencode-manager/workspaces/keep';
import { unreadable, wordsOf } from '../errors.ts';
import type { JournalEvent, JournalRow } from '../journal/events.ts';
import { foldJournal, type RunHistory } from '../machine/fold-journal.ts';
import { checkKind } from '../journal/schema.ts';
import { explainSqlite } from '../journal/sqlite-errors.ts';

/** Which rows. */
export interface RowsWanted {
  /** After this number. Default: 0. */
  readonly after?: number;
  /** Up to this number. Default: all that are there. */
  readonly upTo?: number;
  /** Of this task alone. */
  readonly key?: string;
  readonly type?: JournalEvent['type'];
}

/** Rows that are read at once; fewer when they are larger than `bytesOfPage` together. A row holds an answer of any size. */
const rowsOfPage = 1000;
const bytesOfPage = 4_000_000;

/**
 * The rows of a journal for those who only look, in memory that does not depend on how many there are. Guarantees:
 * - nothing is written: where no process has the journal open, SQLite makes no file beside it either, so that a directory without permission
 *   to write, or on a medium that cannot be written, is read too;
 * - a process that writes is not held up, and what it commits meanwhile is seen.
 * @example
 * using journal = new JournalReader(runLayout(path).journal)
 * for (const { sequence, event } of journal.rows({ key: 'fix-1' })) console.log(sequence, event.type)
 */
export class JournalReader implements Disposable {
  readonly #path: string;
  #database: DatabaseSync;
  /** What the file was like when it was opened without locks; undefined with locks. */
  #quiet: string | undefined;

  /** @throws `RUN_UNREADABLE` when it is missing, damaged, of a newer version, or no journal */
  constructor(path: string) {
    this.#path = path;
    this.#quiet = quietness(path);
    this.#database = this.#open();
  }

  rows(wanted: RowsWanted = {}): Generator<JournalRow, undefined> {
    return this.#read(wanted, 'sequence, at_ms, event');
  }

  *#read({ after = 0, upTo = Number.MAX_SAFE_INTEGER, ...filter }: RowsWanted, columns: string): Generator<JournalRow, undefined> {
    for (let last = after; ;) {
      const { rows, isLast } = this.#page({ ...filter, after: last, upTo }, columns);
      for (const { sequence, at_ms: atMs, event } of rows) {
        last = sequence;
        yield { sequence, atMs, event: eventIn(event, sequence, this.#path) };
      }
      if (isLast) return undefined;
    }
  }

  /** What is true of the run by all rows, without its answers: they are left out before they are read, which takes most of the time. */
  history(): RunHistory {
    const columns = `sequence, at_ms, CASE type WHEN 'attempt.ended' THEN json_remove(event, '$.result.output') ELSE event END AS event`;
    return foldJournal(this.#read({}, columns));
  }

  /** The newest rows, in their order. */
  newest(count: number): JournalRow[] {
    const query = `SELECT sequence, at_ms, event FROM journal ORDER BY sequence DESC LIMIT ${Math.trunc(count)}`;
    const rows = this.#ask((database) => database.prepare(query).all() as unknown as StoredRow[]);
    return rows.toReversed().map(({ sequence, at_ms: atMs, event }) => ({ sequence, atMs, event: eventIn(event, sequence, this.#path) }));
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #page({ after = 0, upTo = 0, key, type }: RowsWanted, columns: string): { rows: readonly StoredRow[]; isLast: boolean } {
    const filters = `${key === undefined ? '' : 'AND key = :key'} ${type === undefined ? '' : 'AND type = :type'}`;
    const from = `FROM journal WHERE sequence > :after AND sequence <= :upTo ${filters} ORDER BY sequence`;
    const named = { after, ...(key !== undefined && { key }), ...(type !== undefined && { type }) };
    return this.#ask((database) => {
      const sizes = database.prepare(`SELECT sequence, octet_length(event) AS bytes ${from} LIMIT ${rowsOfPage}`).all({ ...named, upTo });
      const fitting = countFitting(sizes.map(({ bytes }) => Number(bytes)));
      const last = Number(sizes[fitting - 1]?.['sequence'] ?? after);
      const rows = database.prepare(`SELECT ${columns} ${from}`).all({ ...named, upTo: last });
      return { rows: rows as unknown as StoredRow[], isLast: fitting === sizes.length && sizes.length < rowsOfPage };
    });
  }

  /** An answer that was read without locks counts only when nobody has begun to write meanwhile; else it is asked again, with locks. */
  #ask<T>(work: (database: DatabaseSync) => T): T {
    let answer: T | undefined;
    let problem: unknown;
    try {
      answer = work(this.#database);
    } catch (error) {
      problem = error;
    }
    if (this.#quiet !== undefined && quietness(this.#path) !== this.#quiet) {
      this.close();
      this.#quiet = undefined;
      this.#database = this.#open();
      return this.#ask(work);
    }
    if (problem !== undefined) throw explainSqlite(problem, this.#path, false);
    return answer as T;
  }

  #open(): DatabaseSync {
    const path = this.#path;
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) throw unreadable(path, 'is missing');
    const url = pathToFileURL(path);
    url.searchParams.set('mode', 'ro');
    if (this.#quiet !== undefined) url.searchParams.set('immutable', '1');
    let database: DatabaseSync | undefined;
    try {
      database = new (loadSqlite().DatabaseSync)(url, { readOnly: true, enableForeignKeyConstraints: false, timeout: 5000 });
      checkKind(database, path);
      return database;
    } catch (error) {
      database?.close();
      throw explainSqlite(error, path, false);
    }
  }
}

interface StoredRow {
  readonly sequence: number;
  readonly at_ms: number;
  readonly event: string;
}

/** One at least. */
function countFitting(sizes: readonly number[]): number {
  let bytes = 0;
  const tooLarge = sizes.findIndex((size, index) => (bytes += size) > bytesOfPage && index > 0);
  return tooLarge === -1 ? sizes.length : tooLarge;
}

/** What says that nobody has written a journal; undefined while SQLite's log lies beside it, and somebody may. */
function quietness(path: string): string | undefined {
  if (statSync(`${path}-wal`, { throwIfNoEntry: false })) return undefined;
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stats && `${stats.ino} ${stats.size} ${stats.mtimeNs}`;
}

function eventIn(text: string, sequence: number, path: string): JournalEvent {
  try {
    return JSON.parse(text) as JournalEvent;
  } catch (error) {
    throw unreadable(path, `is damaged: row ${sequence} is no JSON (${wordsOf(error)})`, error);
  }
}
