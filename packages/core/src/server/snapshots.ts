import type { CallOptions, HttpClient } from '../http/index.ts';
import { shareReads } from './shared-reads.ts';
import { requests } from '../protocol/index.ts';
import type { DirectorySnapshot } from '../session/types.ts';

/** Reads of directories' volatile state, shared by all who ask at the same time. */
export interface SnapshotReader {
  read(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
}

/** Calls that come while a read is in flight share the next one; see {@link shareReads}. */
export function createSnapshotReader(client: HttpClient): SnapshotReader {
  const shared = shareReads((directory) => readDirectory(client, directory));
  return {
    read: (directory, { signal } = {}) => withSignal(shared(directory), signal),
  };
}

async function readDirectory(client: HttpClient, directory: string): Promise<DirectorySnapshot> {
  const startedAtMs = Date.now();
  const [status, permissions, questions] = await Promise.all([
    client.call(requests.status(directory)),
    client.call(requests.permissions(directory)),
    client.call(requests.questions(directory)),
  ]);
  return { startedAtMs, status, permissions, questions };
}

/** One caller's abort ends its own wait, not the read that others share. */
async function withSignal<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return work;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
