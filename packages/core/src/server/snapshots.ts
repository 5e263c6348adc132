import type { CallOptions } from '../http/index.ts';
import type { DirectorySnapshot, ServerCalls } from '../protocol/index.ts';
import { joinRead, shareReads } from './shared-reads.ts';

/** Reads of directories' volatile state, shared by all who ask at the same time. */
export interface SnapshotReader {
  read(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
}

/** Calls that come while a read is in flight share the next one; see {@link shareReads}. */
export function createSnapshotReader(calls: Pick<ServerCalls, 'snapshot'>): SnapshotReader {
  const shared = shareReads((directory) => calls.snapshot(directory));
  return {
    read: (directory, options) => joinRead(shared(directory), `The state of ${directory}`, options),
  };
}
