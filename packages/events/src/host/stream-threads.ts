import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { StreamTaskInput, StreamTaskRequest } from '../worker/messages.ts';
import { resolveWorkerFile } from './worker-file.ts';

/** Connections that share a thread: one of them keeps a thread far from busy. */
const connectionsPerThread = 4;
const maxThreads = 16;

/** V8 would let it grow to 48 MB; what a batch allocates is garbage when it has left. With 8 MB the collector's threads take more of a flood. */
const maxYoungGenerationSizeMb = 24;

/** The threads of this process that read event streams; they come with the first monitor and go with the last. */
let threads: { readonly pool: Piscina<StreamTaskRequest, void>; users: number } | undefined;

/** The right to run stream tasks. */
export interface StreamThreadsLease {
  /** Runs one task until it ends; rejects when its thread is lost. */
  run(input: StreamTaskInput, port: MessagePort): Promise<void>;
  /** Gives the right back; resolves when, after the last one, no thread is left. Idempotent. */
  release(): Promise<void>;
}

/** Takes part in the threads of this process. */
export function leaseStreamThreads(): StreamThreadsLease {
  const own = (threads ??= { pool: createPool(), users: 0 });
  own.users++;
  let released: Promise<void> | undefined;
  return {
    run: (input, port) => own.pool.run({ input, port }, { transferList: [port] }),
    release: () => (released ??= releaseThreads(own)),
  };
}

/** The worker threads that run now; for tests and diagnosis. */
export function streamThreads(): Piscina['threads'] {
  return threads?.pool.threads ?? [];
}

async function releaseThreads(own: NonNullable<typeof threads>): Promise<void> {
  own.users--;
  if (own.users > 0) return;
  if (threads === own) threads = undefined;
  await own.pool.destroy();
}

function createPool(): Piscina<StreamTaskRequest, void> {
  const { filename, execArgv } = resolveWorkerFile(import.meta.url, '../worker/stream.worker');
  const pool = new Piscina<StreamTaskRequest, void>({
    filename,
    execArgv,
    // The thread needs nothing of the environment, which may hold secrets.
    env: {},
    // The default would freeze the event loop of a worker between two messages.
    atomics: 'disabled',
    minThreads: 0,
    maxThreads,
    resourceLimits: { maxYoungGenerationSizeMb },
    concurrentTasksPerWorker: connectionsPerThread,
  });
  // A thread that is lost while it starts would leave its tasks in the queue for ever: ending the pool rejects them.
  const rejectQueued = () => void pool.destroy();
  pool.on('error', rejectQueued);
  pool.on('workerDestroy', () => setImmediate(() => pool.queueSize > 0 && pool.threads.length === 0 && rejectQueued()));
  return pool;
}
