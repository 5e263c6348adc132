import type { JournalEvent, JournalRow } from '@opencode-manager/runs';
import type { Pool, PoolClient } from 'pg';
import type { Claim, FileOf, Ledger, NewQueuedRun, QueuedFile, QueuedRun, QueuedWishes, WorkerBeat, Writer } from '../ledger/ledger.ts';
import { schemaLock, schemaName as schema, tables } from './schema.ts';

type Row = Readonly<Record<string, unknown>>;

/** The ledger in PostgreSQL. What is to be atomic locks the row of its run: rows of one run are numbered one after the other. */
export class PostgresLedger implements Ledger {
  readonly #pool: Pool;

  private constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Makes the tables where they are not there. */
  static async open(pool: Pool): Promise<PostgresLedger> {
    const ledger = new PostgresLedger(pool);
    await ledger.#atomically(async (client) => {
      await client.query('SELECT pg_advisory_xact_lock($1)', [schemaLock]);
      await client.query(tables);
    });
    return ledger;
  }

  begin({ name, manifest, tasks, events }: NewQueuedRun): Promise<boolean> {
    return this.#atomically(async (client) => {
      const made = await client.query(
        `INSERT INTO ${schema}.runs (name, manifest, created_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
        [name, manifest, Date.now()],
      );
      if (made.rowCount === 0) return false;
      await client.query(`INSERT INTO ${schema}.tasks (run, key, task) SELECT $1, * FROM unnest($2::text[], $3::text[])`, [
        name,
        [...tasks.keys()],
        [...tasks.values()],
      ]);
      await append(client, name, events);
      return true;
    });
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

  claim(run: string, key: string, submission: number): Promise<Claim | undefined> {
    return this.#atomically(async (client) => {
      const counted = await client.query(`UPDATE ${schema}.runs SET tokens = tokens + 1 WHERE name = $1 RETURNING tokens`, [run]);
      if (counted.rowCount === 0) return undefined;
      const token = Number((counted.rows[0] as Row)['tokens']);
      const taken = await client.query(
        `UPDATE ${schema}.tasks SET token = $3, batch = 0 WHERE run = $1 AND key = $2 AND submission = $4 RETURNING task`,
        [run, key, token, submission],
      );
      const task = (taken.rows[0] as { task: string } | undefined)?.task;
      if (task === undefined) return undefined;
      const rows = await client.query(`SELECT * FROM ${schema}.journal WHERE run = $1 AND key = $2 ORDER BY sequence`, [run, key]);
      return { token, task, rows: rows.rows.map(rowIn) };
    });
  }

  write({ run, key, token, batch }: Writer, events: readonly JournalEvent[], superseded: readonly JournalEvent[]): Promise<boolean> {
    return this.#atomically(async (client) => {
      await lock(client, run);
      const found = await client.query(`SELECT token, batch FROM ${schema}.tasks WHERE run = $1 AND key = $2`, [run, key]);
      const known = found.rows[0] as Row | undefined;
      if (Number(known?.['token']) !== token) {
        const noted = await client.query(
          `INSERT INTO ${schema}.late SELECT $1, $2, $3 FROM ${schema}.runs WHERE name = $1 ON CONFLICT DO NOTHING`,
          [run, token, batch],
        );
        if ((noted.rowCount ?? 0) > 0) await append(client, run, superseded);
        return false;
      }
      if (Number(known?.['batch']) >= batch) return true;
      await client.query(`UPDATE ${schema}.tasks SET batch = $3 WHERE run = $1 AND key = $2`, [run, key, batch]);
      await append(client, run, events);
      return true;
    });
  }

  append(run: string, events: readonly JournalEvent[], ifLast?: number): Promise<boolean> {
    return this.#atomically(async (client) => {
      const last = await lock(client, run);
      if (last === undefined || (ifLast !== undefined && ifLast !== last)) return false;
      await append(client, run, events);
      return true;
    });
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
    const query = `INSERT INTO ${schema}.files VALUES ($1, $2, $3, $4, $5, $6, $7)
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

  async #atomically<T>(act: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    // A connection that breaks is told by the query that uses it.
    const ignore = () => undefined;
    client.on('error', ignore);
    let isBroken = true;
    try {
      await client.query('BEGIN');
      const value = await act(client);
      await client.query('COMMIT');
      isBroken = false;
      return value;
    } finally {
      // One that broke off is closed, and its transaction with it.
      client.off('error', ignore);
      client.release(isBroken);
    }
  }
}

/** Gives the number of the newest row; undefined when there is no such run. */
async function lock(client: PoolClient, run: string): Promise<number | undefined> {
  const { rows } = await client.query(`SELECT last_sequence FROM ${schema}.runs WHERE name = $1 FOR UPDATE`, [run]);
  const found = rows[0] as Row | undefined;
  return found && Number(found['last_sequence']);
}

async function append(client: PoolClient, run: string, events: readonly JournalEvent[]): Promise<void> {
  if (events.length === 0) return;
  const counted = await client.query(
    `UPDATE ${schema}.runs SET last_sequence = last_sequence + $2 WHERE name = $1 RETURNING last_sequence`,
    [run, events.length],
  );
  const first = Number((counted.rows[0] as Row)['last_sequence']) - events.length + 1;
  await client.query(`INSERT INTO ${schema}.journal SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])`, [
    run,
    events.map((_, index) => first + index),
    events.map(() => Date.now()),
    events.map((event) => ('key' in event ? event.key : null)),
    events.map((event) => JSON.stringify(event)),
  ]);
}

function rowIn({ sequence, at_ms: atMs, event }: Row): JournalRow {
  return { sequence: Number(sequence), atMs: Number(atMs), event: JSON.parse(String(event)) as JournalEvent };
}
