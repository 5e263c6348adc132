import type { CallOptions, HttpClient } from '../http/index.ts';
import { requests } from '../protocol/index.ts';
import type { DirectorySnapshot } from '../session/types.ts';

/** Reads of directories' volatile state, shared by all who ask at the same time. */
export interface SnapshotReader {
  read(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
}

interface Reads {
  inFlight: Promise<DirectorySnapshot> | undefined;
  next: Promise<DirectorySnapshot> | undefined;
}

/**
 * A read that is in flight may have passed what the caller wants to see, so it is not shared; the next one is. At most
 * one read a directory is in flight and one waits, however many ask.
 */
export function createSnapshotReader(client: HttpClient): SnapshotReader {
  const directories = new Map<string, Reads>();

  function start(directory: string, reads: Reads): Promise<DirectorySnapshot> {
    const read = readDirectory(client, directory).finally(() => {
      reads.inFlight = undefined;
      if (!reads.next) directories.delete(directory);
    });
    reads.inFlight = read;
    return read;
  }

  function shared(directory: string): Promise<DirectorySnapshot> {
    const reads = directories.get(directory) ?? { inFlight: undefined, next: undefined };
    directories.set(directory, reads);
    if (!reads.inFlight) return start(directory, reads);
    reads.next ??= reads.inFlight
      .catch(() => undefined)
      .then(() => {
        reads.next = undefined;
        return start(directory, reads);
      });
    return reads.next;
  }

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
