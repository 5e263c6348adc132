/** Tables beside those of BullMQ, in a schema of their own. Made once, under a lock of the database. */
export const schemaName = 'opencode_manager';

/** Names the lock under which the tables are made: any number that nobody else takes. */
export const schemaLock = 7_161_842_019;

export const tables = `
CREATE SCHEMA IF NOT EXISTS ${schemaName};
CREATE TABLE IF NOT EXISTS ${schemaName}.runs (
  name text PRIMARY KEY, manifest text NOT NULL, created_ms bigint NOT NULL, last_sequence bigint NOT NULL DEFAULT 0,
  tokens bigint NOT NULL DEFAULT 0, paused boolean NOT NULL DEFAULT false,
  cancelled boolean NOT NULL DEFAULT false);
CREATE TABLE IF NOT EXISTS ${schemaName}.tasks (
  run text NOT NULL REFERENCES ${schemaName}.runs ON DELETE CASCADE, key text NOT NULL, task text NOT NULL, token bigint NOT NULL DEFAULT 0,
  batch bigint NOT NULL DEFAULT 0, submission integer NOT NULL DEFAULT 1, unwanted boolean NOT NULL DEFAULT false, PRIMARY KEY (run, key));
CREATE TABLE IF NOT EXISTS ${schemaName}.journal (
  run text NOT NULL REFERENCES ${schemaName}.runs ON DELETE CASCADE, sequence bigint NOT NULL, at_ms bigint NOT NULL, key text, event text NOT NULL,
  PRIMARY KEY (run, sequence));
CREATE INDEX IF NOT EXISTS journal_of_task ON ${schemaName}.journal (run, key);
CREATE TABLE IF NOT EXISTS ${schemaName}.late (
  run text NOT NULL REFERENCES ${schemaName}.runs ON DELETE CASCADE, token bigint NOT NULL, batch bigint NOT NULL, PRIMARY KEY (run, token, batch));
CREATE TABLE IF NOT EXISTS ${schemaName}.files (
  run text NOT NULL REFERENCES ${schemaName}.runs ON DELETE CASCADE, key text NOT NULL, attempt integer NOT NULL, name text NOT NULL,
  bytes bigint NOT NULL, content bytea, path text, PRIMARY KEY (run, key, attempt, name));
CREATE TABLE IF NOT EXISTS ${schemaName}.holds (provider text PRIMARY KEY, until_ms bigint NOT NULL);
CREATE TABLE IF NOT EXISTS ${schemaName}.workers (id text PRIMARY KEY, told text NOT NULL, until_ms bigint NOT NULL);
`;
