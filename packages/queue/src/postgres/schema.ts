/** Tables and functions beside those of BullMQ, in a schema of their own. */
export const schemaName = 'opencode_manager';

/** Raised with each change of what stands below: then it is made anew. A change of a table adds to what is there. */
export const schemaVersion = 1;

/** Names the lock under which the schema is made: any number that nobody else takes. */
export const schemaLock = 7_161_842_019;

const tables = `
CREATE SCHEMA IF NOT EXISTS ${schemaName};
CREATE TABLE IF NOT EXISTS ${schemaName}.version (number integer NOT NULL);
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

/**
 * What is atomic. The row of a run is locked while rows of it are numbered, so each is one call: a host that is slow holds no lock while it
 * thinks.
 */
const functions = `
CREATE OR REPLACE FUNCTION ${schemaName}.append_rows(of_run text, now_ms bigint, keys text[], events text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE last bigint;
BEGIN
  IF cardinality(events) = 0 THEN RETURN; END IF;
  UPDATE ${schemaName}.runs SET last_sequence = last_sequence + cardinality(events) WHERE name = of_run RETURNING last_sequence INTO last;
  INSERT INTO ${schemaName}.journal (run, sequence, at_ms, key, event)
    SELECT of_run, last - cardinality(events) + place, now_ms, row_key, row_event
    FROM unnest(keys, events) WITH ORDINALITY AS rows (row_key, row_event, place);
END $$;

CREATE OR REPLACE FUNCTION ${schemaName}.append_if(of_run text, now_ms bigint, keys text[], events text[], if_last bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE last bigint;
BEGIN
  SELECT last_sequence INTO last FROM ${schemaName}.runs WHERE name = of_run FOR UPDATE;
  IF last IS NULL OR last <> coalesce(if_last, last) THEN RETURN false; END IF;
  PERFORM ${schemaName}.append_rows(of_run, now_ms, keys, events);
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION ${schemaName}.begin_run(
  of_run text, now_ms bigint, manifest text, task_keys text[], tasks text[], keys text[], events text[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ${schemaName}.runs (name, manifest, created_ms) VALUES (of_run, begin_run.manifest, now_ms) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO ${schemaName}.tasks (run, key, task) SELECT of_run, * FROM unnest(task_keys, begin_run.tasks);
  PERFORM ${schemaName}.append_rows(of_run, now_ms, keys, events);
  RETURN true;
END $$;

CREATE OR REPLACE FUNCTION ${schemaName}.claim(of_run text, of_key text, of_submission integer) RETURNS TABLE (claimed bigint, given text)
LANGUAGE plpgsql AS $$
DECLARE next bigint;
BEGIN
  UPDATE ${schemaName}.runs SET tokens = tokens + 1 WHERE name = of_run RETURNING tokens INTO next;
  RETURN QUERY UPDATE ${schemaName}.tasks SET token = next, batch = 0
    WHERE run = of_run AND key = of_key AND submission = of_submission RETURNING token, task;
END $$;

CREATE OR REPLACE FUNCTION ${schemaName}.write_rows(
  of_run text, now_ms bigint, of_key text, of_token bigint, of_batch bigint, events text[], superseded text[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE known record;
BEGIN
  PERFORM 1 FROM ${schemaName}.runs WHERE name = of_run FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  SELECT token, batch INTO known FROM ${schemaName}.tasks WHERE run = of_run AND key = of_key;
  IF known.token IS DISTINCT FROM of_token THEN
    INSERT INTO ${schemaName}.late VALUES (of_run, of_token, of_batch) ON CONFLICT DO NOTHING;
    IF FOUND THEN PERFORM ${schemaName}.append_rows(of_run, now_ms, array_fill(of_key, ARRAY[cardinality(superseded)]), superseded); END IF;
    RETURN false;
  END IF;
  IF known.batch >= of_batch THEN RETURN true; END IF;
  UPDATE ${schemaName}.tasks SET batch = of_batch WHERE run = of_run AND key = of_key;
  PERFORM ${schemaName}.append_rows(of_run, now_ms, array_fill(of_key, ARRAY[cardinality(events)]), events);
  RETURN true;
END $$;
`;

export const schema = `${tables}${functions}
DELETE FROM ${schemaName}.version;
INSERT INTO ${schemaName}.version VALUES (${schemaVersion});
`;
