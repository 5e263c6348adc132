import { isManagerError, OpencodeManagerError } from '@opencode-manager/core/errors';
import type { LeasedTask, LeasePort } from '@opencode-manager/runs';
import { createPostgresBackend, Queue, Worker, type ConnectionOptions, type PostgresConnectionOptions } from 'bullmq';
import type { Ledger } from './ledger/ledger.ts';
import type { JobData, QueuedJob } from './leases/job-data.ts';
import { jobOf, queueNameOf } from './leases/jobs.ts';
import type { LeaseOptions } from './leases/lease-options.ts';
import { QueueLeases } from './leases/queue-leases.ts';
import { PostgresLedger } from './postgres/postgres-ledger.ts';
import { RedisLedger } from './redis/redis-ledger.ts';
import { parseQueueUrl, type QueueAddress } from './url.ts';

/** How long the first connection may take, in milliseconds. Later ones are tried for as long as it takes. */
const connectMs = 10_000;

/** Connections to PostgreSQL that this process has besides BullMQ's own. */
const ledgerConnections = 4;

/** A host's share in a queue. */
export interface LeaseSource<Given extends LeasedTask> extends AsyncDisposable {
  readonly leases: LeasePort<Given>;
}

/** A queue that many hosts drain. */
export interface QueueClient extends AsyncDisposable {
  readonly address: QueueAddress;
  readonly ledger: Ledger;
  /** Puts jobs in for hosts with a configuration; one that is there is left as it is. */
  add(configuration: string, jobs: readonly QueuedJob[]): Promise<void>;
  /** Begins to take jobs of a configuration. */
  take<Given extends LeasedTask>(configuration: string, options: LeaseOptions & { readonly name: string }): Promise<LeaseSource<Given>>;
}

/** How an engine is reached: by BullMQ, and by the ledger. */
interface Engine extends AsyncDisposable {
  readonly ledger: Ledger;
  queue(name: string): Queue<JobData>;
  worker(name: string, options: WorkerSettings): Worker<JobData>;
}

interface WorkerSettings {
  readonly name: string;
  readonly leaseMs: number;
}

/**
 * Opens a queue on an engine that runs already: Redis or Valkey (needs `ioredis`), PostgreSQL (needs `pg`). The tables of PostgreSQL are made where they
 * are not there.
 * @throws OpencodeManagerError `QUEUE_UNUSABLE`: the URL, the driver or the engine
 * @example
 * await using queue = await openQueue('redis://127.0.0.1:6379')
 * console.log(await queue.ledger.runs())
 * @public
 */
export async function openQueue(url: string): Promise<QueueClient> {
  const address = parseQueueUrl(url);
  const engine = await (address.backend === 'redis' ? openRedis(address) : openPostgres(address)).catch((error: unknown) => {
    throw unusable(address, error);
  });
  return {
    address,
    ledger: engine.ledger,
    async add(configuration, jobs) {
      const queue = quiet(engine.queue(queueNameOf(configuration)));
      try {
        const all = jobs.map(jobOf);
        // What is in one call is in one transaction: large runs would hold the engine up.
        for (let at = 0; at < all.length; at += 500) await queue.addBulk(all.slice(at, at + 500));
      } finally {
        await queue.close();
      }
    },
    async take(configuration, { name, ...options }) {
      const worker = quiet(engine.worker(queueNameOf(configuration), { name, leaseMs: options.leaseMs }));
      try {
        await worker.waitUntilReady();
        await worker.startStalledCheckTimer();
      } catch (error) {
        await worker.close(true);
        throw unusable(address, error);
      }
      return {
        leases: new QueueLeases({ ...options, ledger: engine.ledger, worker }),
        [Symbol.asyncDispose]: () => worker.close(true),
      };
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

/** A queue without a listener for errors ends the process with the first one. What counts is told by the call that it met. */
function quiet<One extends Queue<JobData> | Worker<JobData>>(one: One): One {
  (one as Queue<JobData>).on('error', () => undefined);
  return one;
}

/** Stalls are counted by us, as tries of the infrastructure: the engine's own count must never end a job. */
const neverFails = 1_000_000;

function settingsOf({ name, leaseMs }: WorkerSettings) {
  return {
    name,
    autorun: false,
    concurrency: 1,
    lockDuration: leaseMs,
    stalledInterval: Math.max(500, Math.round(leaseMs / 4)),
    maxStalledCount: neverFails,
    drainDelay: 2,
  };
}

async function openRedis({ url }: QueueAddress): Promise<Engine> {
  const { Redis } = await driver(() => import('ioredis'), 'ioredis');
  const options = { maxRetriesPerRequest: null, connectTimeout: connectMs, enableReadyCheck: true } as const;
  const redis = new Redis(url, { ...options, lazyConnect: true, retryStrategy: () => null });
  let said: Error | undefined;
  redis.on('error', (error: Error) => (said = error));
  await redis.connect().catch((error: unknown) => {
    redis.disconnect();
    // It ends with "Connection is closed", and had told why before.
    throw said ?? error;
  });
  // From here on it may go and come.
  redis.options.retryStrategy = (times) => Math.min(2000, 50 * 2 ** Math.min(times, 6));
  const connection = redis as unknown as ConnectionOptions;
  return {
    ledger: new RedisLedger(redis),
    queue: (name) => new Queue<JobData>(name, { connection }),
    worker: (name, settings) => new Worker<JobData>(name, null, { connection, ...settingsOf(settings) }),
    [Symbol.asyncDispose]: async () => redis.disconnect(),
  };
}

async function openPostgres({ url }: QueueAddress): Promise<Engine> {
  const { default: pg } = await driver(() => import('pg'), 'pg');
  const settings = { connectionString: url, connectionTimeoutMillis: connectMs };
  const pool = new pg.Pool({ ...settings, max: ledgerConnections });
  pool.on('error', () => undefined);
  const ledger = await PostgresLedger.open(pool).catch(async (error: unknown) => {
    await pool.end();
    throw error;
  });
  const connection: PostgresConnectionOptions = { ...settings, migrate: true, max: 3 };
  return {
    ledger,
    queue: (name) => new Queue(name, { connection }, createPostgresBackend) as unknown as Queue<JobData>,
    worker: (name, given) =>
      new Worker(name, null, { connection, ...settingsOf(given) }, createPostgresBackend) as unknown as Worker<JobData>,
    [Symbol.asyncDispose]: () => ledger[Symbol.asyncDispose](),
  };
}

async function driver<Module>(load: () => Promise<Module>, name: string): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    throw new OpencodeManagerError('QUEUE_UNUSABLE', `The driver ${name} is not installed. Install it beside ocm: npm install ${name}`, {
      cause: error,
    });
  }
}

function unusable({ shown }: QueueAddress, error: unknown): OpencodeManagerError {
  if (isManagerError(error, 'QUEUE_UNUSABLE')) return error;
  return new OpencodeManagerError(
    'QUEUE_UNUSABLE',
    `The queue ${shown} cannot be reached (${wordsOf(error)}). Start it, or name another with --queue.`,
    {
      details: { queue: shown },
      cause: error,
    },
  );
}

/** Of several addresses that were tried, each has an error of its own. */
function wordsOf(error: unknown): string {
  const { message, code, errors } = error as { message?: string; code?: string; errors?: readonly unknown[] };
  return message || errors?.map(wordsOf).join('; ') || code || String(error);
}
