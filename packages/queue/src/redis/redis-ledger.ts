import type { JournalEvent, JournalRow } from '@opencode-manager/runs';
import type { Redis } from 'ioredis';
import type { Claim, FileOf, Ledger, NewQueuedRun, QueuedFile, QueuedRun, QueuedWishes, WorkerBeat, Writer } from '../ledger/ledger.ts';
import { appendScript, beginScript, claimScript, writeScript } from './scripts.ts';

/** Names of keys that are of no run. */
const shared = { runs: 'ocm:runs', holds: 'ocm:holds', workers: 'ocm:workers' } as const;

const parts = ['head', 'journal', 'index', 'tasks', 'leases', 'batches', 'late', 'submissions', 'unwanted', 'files'] as const;

function keyOf(run: string, part: (typeof parts)[number]): string {
  return `ocm:{${run}}:${part}`;
}

/** Those that the scripts take, in their order. */
function scriptKeys(run: string): string[] {
  return parts.slice(0, 8).map((part) => keyOf(run, part));
}

/** The ledger in Redis or Valkey. */
export class RedisLedger implements Ledger {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async begin({ name, manifest, tasks, events }: NewQueuedRun): Promise<boolean> {
    const given = [...tasks].flat();
    const isNew = await this.#run(beginScript, name, [Date.now(), manifest, tasks.size, ...given, ...events.flatMap(keyed)]);
    await this.#redis.sadd(shared.runs, name);
    return isNew === 1;
  }

  async run(name: string): Promise<QueuedRun | undefined> {
    const { manifest, created, last = '0', paused, cancelled } = await this.#redis.hgetall(keyOf(name, 'head'));
    if (manifest === undefined) return undefined;
    return {
      name,
      manifest,
      createdAtMs: Number(created),
      lastSequence: Number(last),
      isPaused: paused === '1',
      isCancelled: cancelled === '1',
    };
  }

  async runs(): Promise<readonly string[]> {
    return (await this.#redis.smembers(shared.runs)).toSorted();
  }

  async tasks(run: string): Promise<ReadonlyMap<string, string>> {
    return new Map(Object.entries(await this.#redis.hgetall(keyOf(run, 'tasks'))));
  }

  async claim(run: string, key: string, submission: number): Promise<Claim | undefined> {
    const claimed = (await this.#run(claimScript, run, [key, submission])) as [number, string, string[]] | null;
    if (!claimed) return undefined;
    const [token, task, rows] = claimed;
    return { token, task, rows: rows.map(rowIn) };
  }

  async write({ run, key, token, batch }: Writer, events: readonly JournalEvent[], superseded: readonly JournalEvent[]): Promise<boolean> {
    const texts = [...events, ...superseded].map((event) => JSON.stringify(event));
    return (await this.#run(writeScript, run, [Date.now(), key, token, batch, events.length, ...texts])) === 1;
  }

  async append(run: string, events: readonly JournalEvent[], ifLast?: number): Promise<boolean> {
    return (await this.#run(appendScript, run, [Date.now(), ifLast ?? '', ...events.flatMap(keyed)])) === 1;
  }

  async rows(run: string, after: number, limit: number): Promise<readonly JournalRow[]> {
    const wanted = Array.from({ length: limit }, (_, index) => String(after + index + 1));
    const found = await this.#redis.hmget(keyOf(run, 'journal'), ...wanted);
    return found.filter((row) => row !== null).map(rowIn);
  }

  async steer(run: string, { isPaused, isCancelled }: { readonly isPaused?: boolean; readonly isCancelled?: boolean }): Promise<void> {
    const wishes = {
      ...(isPaused !== undefined && { paused: isPaused ? '1' : '0' }),
      ...(isCancelled !== undefined && { cancelled: isCancelled ? '1' : '0' }),
    };
    await this.#redis.hset(keyOf(run, 'head'), wishes);
  }

  async unwant(run: string, keys: readonly string[], isUnwanted = true): Promise<void> {
    if (keys.length === 0) return;
    if (isUnwanted) await this.#redis.sadd(keyOf(run, 'unwanted'), ...keys);
    else await this.#redis.srem(keyOf(run, 'unwanted'), ...keys);
  }

  async wishes(run: string): Promise<QueuedWishes> {
    const [[paused = null, cancelled = null], keys] = await Promise.all([
      this.#redis.hmget(keyOf(run, 'head'), 'paused', 'cancelled'),
      this.#redis.smembers(keyOf(run, 'unwanted')),
    ]);
    return { isPaused: paused === '1', isCancelled: cancelled === '1', cancelled: keys };
  }

  async resubmit(run: string, keys: readonly string[]): Promise<void> {
    const counted = this.#redis.multi();
    // The first submission of a task is not noted.
    for (const key of keys) counted.hsetnx(keyOf(run, 'submissions'), key, 1).hincrby(keyOf(run, 'submissions'), key, 1);
    await counted.exec();
  }

  async submissions(run: string): Promise<Readonly<Record<string, number>>> {
    const all = Object.entries(await this.#redis.hgetall(keyOf(run, 'submissions')));
    return Object.fromEntries(all.map(([key, count]) => [key, Number(count)]));
  }

  async putFile({ run, key, attempt }: FileOf, { name, bytes, content, path }: QueuedFile): Promise<void> {
    // Of a run that was removed meanwhile nothing is kept: nobody would remove it.
    if ((await this.#redis.hexists(keyOf(run, 'head'), 'manifest')) === 0) return;
    const field = JSON.stringify([key, attempt]);
    const text = JSON.stringify({ name, bytes, path, content: content && Buffer.from(content).toString('base64') });
    await this.#redis.hset(`${keyOf(run, 'files')}:${field}`, name, text);
    await this.#redis.sadd(keyOf(run, 'files'), field);
  }

  async files({ run, key, attempt }: FileOf): Promise<readonly QueuedFile[]> {
    const texts = await this.#redis.hvals(`${keyOf(run, 'files')}:${JSON.stringify([key, attempt])}`);
    return texts.map((text) => {
      const { name, bytes, path, content } = JSON.parse(text) as Omit<QueuedFile, 'content'> & { content: string | null };
      return { name, bytes, path, content: content === null ? null : Buffer.from(content, 'base64') };
    });
  }

  async hold(provider: string, untilMs: number): Promise<void> {
    if (untilMs > 0) await this.#redis.zadd(shared.holds, 'GT', String(Math.round(untilMs)), provider);
    else await this.#redis.zrem(shared.holds, provider);
  }

  async holds(): Promise<Readonly<Record<string, number>>> {
    await this.#redis.zremrangebyscore(shared.holds, 0, Date.now());
    const flat = await this.#redis.zrangebyscore(shared.holds, '-inf', '+inf', 'WITHSCORES');
    return Object.fromEntries(pairs(flat).map(([provider, untilMs]) => [provider, Number(untilMs)]));
  }

  async beat({ id, told }: WorkerBeat, forMs: number): Promise<void> {
    await this.#redis.hset(shared.workers, id, JSON.stringify({ told, untilMs: Date.now() + forMs }));
  }

  async workers(): Promise<readonly WorkerBeat[]> {
    const all = Object.entries(await this.#redis.hgetall(shared.workers)).map(([id, text]) => {
      const { told, untilMs } = JSON.parse(text) as { told: string; untilMs: number };
      return { id, told, untilMs };
    });
    const gone = all.filter(({ untilMs }) => untilMs <= Date.now()).map(({ id }) => id);
    if (gone.length > 0) await this.#redis.hdel(shared.workers, ...gone);
    return all.filter(({ untilMs }) => untilMs > Date.now());
  }

  async remove(run: string): Promise<void> {
    const fields = await this.#redis.smembers(keyOf(run, 'files'));
    await this.#redis.unlink(...parts.map((part) => keyOf(run, part)), ...fields.map((field) => `${keyOf(run, 'files')}:${field}`));
    await this.#redis.srem(shared.runs, run);
  }

  async doubt(): Promise<string | undefined> {
    const settings = await Promise.all(
      ['appendonly', 'appendfsync', 'maxmemory-policy'].map((name) => this.#redis.config('GET', name)),
    ).catch(() => undefined);
    // Services often refuse the question.
    if (!settings) return undefined;
    const [aof, fsync, policy] = settings.map(([, value]) => value);
    if (policy !== undefined && policy !== 'noeviction')
      return `it evicts keys when its memory is full (maxmemory-policy ${policy}); set noeviction`;
    if (aof !== 'yes') return 'it keeps no append-only file, so a restart loses what came since its last snapshot; set appendonly yes';
    if (fsync !== 'always') return `it may lose up to a second when its machine fails (appendfsync ${fsync}); set appendfsync always`;
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect();
  }

  #run(script: string, run: string, args: readonly (string | number)[]): Promise<unknown> {
    const keys = scriptKeys(run);
    return this.#redis.eval(script, keys.length, ...keys, ...args);
  }
}

function keyed(event: JournalEvent): [key: string, event: string] {
  return ['key' in event ? event.key : '', JSON.stringify(event)];
}

function rowIn(text: string): JournalRow {
  return JSON.parse(text) as JournalRow;
}

function pairs(flat: readonly string[]): [string, string][] {
  return flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1]!] as [string, string]] : []));
}
