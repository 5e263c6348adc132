import type { DatabaseSync } from 'node:sqlite';
import { unreadable } from '../errors.ts';

/** `ocmr`: says that a database is the journal of a run. */
const applicationId = 0x6f63_6d72;

/** Version of the tables. A change that an older reader would misread raises it. */
const schemaVersion = 1;

/** Rows are only ever appended, one number after the other: what would do anything else is refused by the database itself. */
const tables = `
  CREATE TABLE journal (
    sequence INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    key TEXT,
    event TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER journal_in_order BEFORE INSERT ON journal
    WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM journal)
    BEGIN SELECT RAISE(ABORT, 'a row out of order'); END;
  CREATE TRIGGER journal_unchanged BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'rows are only appended'); END;
  CREATE TRIGGER journal_kept BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'rows are only appended'); END;
`;

/** What a writer's connection needs. FULL: a row that was told survives a loss of power. */
export const writerSettings = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000';

/** Makes the tables, all or none of them. */
export function makeTables(database: DatabaseSync): void {
  database.exec(`
    BEGIN IMMEDIATE;
    ${tables}
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = ${schemaVersion};
    COMMIT;
  `);
}

/** Checks that a database is a journal which this version can read. @throws `RUN_UNREADABLE` */
export function checkKind(database: DatabaseSync, path: string): void {
  if (numberOf(database, 'PRAGMA application_id') !== applicationId) throw unreadable(path, 'is not the journal of a run');
  const version = numberOf(database, 'PRAGMA user_version');
  if (version > schemaVersion)
    throw unreadable(path, `was written by a newer version (schema ${version}; this one reads up to ${schemaVersion})`);
}

/**
 * Checks besides that it is whole, and without a gap. It reads everything once: some milliseconds for 10,000 rows.
 * @throws `RUN_UNREADABLE`
 */
export function checkTables(database: DatabaseSync, path: string): void {
  checkKind(database, path);
  const problem = textOf(database, 'PRAGMA quick_check(1)');
  if (problem !== 'ok') throw unreadable(path, `is damaged: ${problem}`);
  const gaps = numberOf(database, 'SELECT coalesce(max(sequence), 0) - count(*) AS gaps FROM journal');
  if (gaps !== 0) throw unreadable(path, `is damaged: ${gaps} rows are missing`);
}

function numberOf(database: DatabaseSync, query: string): number {
  return Number(Object.values(database.prepare(query).get() ?? {})[0]);
}

function textOf(database: DatabaseSync, query: string): string {
  return String(Object.values(database.prepare(query).get() ?? {})[0]);
}
