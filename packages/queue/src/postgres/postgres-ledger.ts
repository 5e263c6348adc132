import type { JournalEvent, JournalRow } from '@opencode-manager/runs';
import type { Pool } from 'pg';
import type { Claim, FileOf, Ledger, NewQueuedRun, QueuedFile, QueuedRun, QueuedWishes, WorkerBeat, Writer } from '../ledger/ledger.ts';
import { schema as definition, schemaLock, schemaName as schema, schemaVersion } from './schema.ts';

type Row = Readonly<Record<string, unknown>>;

/** The ledger in PostgreSQL. What is to be atomic is one statement: a function of the schema. */
export class PostgresLedger implements Ledger {
  readonly #pool: Pool;

  private constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Makes the tables and functions where they are not there. */
  static async open(pool: Pool): Promise<PostgresLedger> {
    const known = await pool.query(`SELECT number FROM ${schema}.version`).catch(() => undefined);
    if ((known?.rows[0] as Row | undefined)?.['number'] === schemaVersion) return new PostgresLedger(pool);
    // One call is one transaction, and the lock ends with it.
    await pool.query(`BEGIN; SELECT pg_advisory_xact_lock(${schemaLock}); ${definition} COMMIT;`);
    return new PostgresLedger(pool);
  }

  begin({ name, manifest, tasks, events }: NewQueuedRun): Promise<boolean> {
    const given = [[...tasks.keys()], [...tasks.values()], events.map(keyOf), events.map(textOf)];
    return this.#is(`SELECT ${schema}.begin_run($1, $2, $3, $4, $5, $6, $7) AS is`, [name, Date.now(), manifest, ...given]);
  }

  async run(name: string): Promise<QueuedRun | undefined> {
    const [found] = await this.#rows(`SELECT * FROM ${schema}.runs WHERE name = $1`, [name]);
    if (!found) return undefined;
    return {
      name,
      manifest: String(found['manifest']),
      createdAtMs: Number(found['created_ms']),
      lastSequence: Number(found['last_sequence']),
      isPaused: found['paused'] === true,
      isCancelled: found['cancelled'] === true,
    };
  }

  async runs(): Promise<readonly string[]> {
    return (await this.#rows(`SELECT name FROM ${schema}.runs ORDER BY name`)).map(({ name }) => String(name));
  }

  async tasks(run: string): Promise<ReadonlyMap<string, string>> {
    const all = await this.#rows(`SELECT key, task FROM ${schema}.tasks WHERE run = $1`, [run]);
    return new Map(all.map(({ key, task }) => [String(key), String(task)]));
  }

  async claim(run: string, key: string, submission: number): Promise<Claim | undefined> {
    const [claimed] = await this.#rows(`SELECT * FROM ${schema}.claim($1, $2, $3)`, [run, key, submission]);
    if (!claimed) return undefined;
    // From here on nobody else writes rows that count.
    const rows = await this.#rows(`SELECT * FROM ${schema}.journal WHERE run = $1 AND key = $2 ORDER BY sequence`, [run, key]);
    return { token: Number(claimed['claimed']), task: claimed['given'] as string, rows: rows.map(rowIn) };
  }

  write({ run, key, token, batch }: Writer, events: readonly JournalEvent[], superseded: readonly JournalEvent[]): Promise<boolean> {
    const given = [run, Date.now(), key, token, batch, events.map(textOf), superseded.map(textOf)];
    return this.#is(`SELECT ${schema}.write_rows($1, $2, $3, $4, $5, $6, $7) AS is`, given);
  }

  append(run: string, events: readonly JournalEvent[], ifLast?: number): Promise<boolean> {
    const given = [run, Date.now(), events.map(keyOf), events.map(textOf), ifLast ?? null];
    return this.#is(`SELECT ${schema}.append_if($1, $2, $3, $4, $5) AS is`, given);
  }

  async rows(run: string, after: number, limit: number): Promise<readonly JournalRow[]> {
    const query = `SELECT * FROM ${schema}.journal WHERE run = $1 AND sequence > $2 ORDER BY sequence LIMIT $3`;
    return (await this.#rows(query, [run, after, limit])).map(rowIn);
  }

  async steer(run: string, { isPaused, isCancelled }: { readonly isPaused?: boolean; readonly isCancelled?: boolean }): Promise<void> {
    const query = `UPDATE ${schema}.runs SET paused = coalesce($2, paused), cancelled = coalesce($3, cancelled) WHERE name = $1`;
    await this.#rows(query, [run, isPaused ?? null, isCancelled ?? null]);
  }

  async unwant(run: string, keys: readonly string[], isUnwanted = true): Promise<void> {
    await this.#rows(`UPDATE ${schema}.tasks SET unwanted = $3 WHERE run = $1 AND key = ANY($2)`, [run, [...keys], isUnwanted]);
  }

  async wishes(run: string): Promise<QueuedWishes> {
    const [found] = await this.#rows(
      `SELECT paused, cancelled, ARRAY(SELECT key FROM ${schema}.tasks WHERE run = $1 AND unwanted) AS keys FROM ${schema}.runs WHERE name = $1`,
      [run],
    );
    return {
      isPaused: found?.['paused'] === true,
      isCancelled: found?.['cancelled'] === true,
      cancelled: (found?.['keys'] ?? []) as string[],
    };
  }

  async resubmit(run: string, keys: readonly string[]): Promise<void> {
    await this.#rows(`UPDATE ${schema}.tasks SET submission = submission + 1 WHERE run = $1 AND key = ANY($2)`, [run, [...keys]]);
  }

  async submissions(run: string): Promise<Readonly<Record<string, number>>> {
    const again = await this.#rows(`SELECT key, submission FROM ${schema}.tasks WHERE run = $1 AND submission > 1`, [run]);
    return Object.fromEntries(again.map(({ key, submission }) => [String(key), Number(submission)]));
  }

  async putFile({ run, key, attempt }: FileOf, { name, bytes, content, path }: QueuedFile): Promise<void> {
    // Of a run that was removed meanwhile nothing is kept: the reference to it would be refused each time.
    const query = `INSERT INTO ${schema}.files
      SELECT name, $2::text, $3::integer, $4::text, $5::bigint, $6::bytea, $7::text FROM ${schema}.runs WHERE name = $1
      ON CONFLICT (run, key, attempt, name) DO UPDATE SET bytes = excluded.bytes, content = excluded.content, path = excluded.path`;
    await this.#rows(query, [run, key, attempt, name, bytes, content && Buffer.from(content), path]);
  }

  async files({ run, key, attempt }: FileOf): Promise<readonly QueuedFile[]> {
    const query = `SELECT name, bytes, content, path FROM ${schema}.files WHERE run = $1 AND key = $2 AND attempt = $3 ORDER BY name`;
    return (await this.#rows(query, [run, key, attempt])).map(({ name, bytes, content, path }) => ({
      name: String(name),
      bytes: Number(bytes),
      content: (content ?? null) as Uint8Array | null,
      path: (path ?? null) as string | null,
    }));
  }

  async hold(provider: string, untilMs: number): Promise<void> {
    if (untilMs <= 0) return void (await this.#rows(`DELETE FROM ${schema}.holds WHERE provider = $1`, [provider]));
    const query = `INSERT INTO ${schema}.holds VALUES ($1, $2)
      ON CONFLICT (provider) DO UPDATE SET until_ms = greatest(holds.until_ms, excluded.until_ms)`;
    await this.#rows(query, [provider, Math.round(untilMs)]);
  }

  async holds(): Promise<Readonly<Record<string, number>>> {
    const held = await this.#rows(`SELECT * FROM ${schema}.holds WHERE until_ms > $1`, [Date.now()]);
    return Object.fromEntries(held.map(({ provider, until_ms: untilMs }) => [String(provider), Number(untilMs)]));
  }

  async beat({ id, told }: WorkerBeat, forMs: number): Promise<void> {
    const query = `INSERT INTO ${schema}.workers VALUES ($1, $2, $3)
      ON CONFLICT (id) DO UPDATE SET told = excluded.told, until_ms = excluded.until_ms`;
    await this.#rows(query, [id, told, Date.now() + forMs]);
  }

  async workers(): Promise<readonly WorkerBeat[]> {
    await this.#rows(`DELETE FROM ${schema}.workers WHERE until_ms <= $1`, [Date.now()]);
    const all = await this.#rows(`SELECT id, told FROM ${schema}.workers ORDER BY id`);
    return all.map(({ id, told }) => ({ id: String(id), told: String(told) }));
  }

  async remove(run: string): Promise<void> {
    await this.#rows(`DELETE FROM ${schema}.runs WHERE name = $1`, [run]);
  }

  async doubt(): Promise<string | undefined> {
    const [found] = await this.#rows(`SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commits`);
    if (found?.['fsync'] === 'off') return 'it does not sync its files (fsync off), so a failure of its machine may destroy it';
    if (found?.['commits'] === 'off') return 'it may lose the last moments when it fails (synchronous_commit off); set it on';
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end().catch(() => undefined);
  }

  async #rows(query: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return (await this.#pool.query(query, [...values])).rows as Row[];
  }

  async #is(query: string, values: readonly unknown[]): Promise<boolean> {
    return (await this.#rows(query, values))[0]?.['is'] === true;
  }
}

function keyOf(event: JournalEvent): string | null {
  return 'key' in event ? event.key : null;
}

function textOf(event: JournalEvent): string {
  return JSON.stringify(event);
}

function rowIn({ sequence, at_ms: atMs, event }: Row): JournalRow {
  return { sequence: Number(sequence), atMs: Number(atMs), event: JSON.parse(String(event)) as JournalEvent };
}
