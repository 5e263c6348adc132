import { isManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { PermissionRequest, ServerCalls } from '../protocol/index.ts';
import type { DirectorySnapshot } from '../session/types.ts';
import { joinRead, shareReads } from './shared-reads.ts';

/** Reads of directories' volatile state, shared by all who ask at the same time. */
export interface SnapshotReader {
  read(directory: string, options?: CallOptions): Promise<DirectorySnapshot>;
}

/** Calls that come while a read is in flight share the next one; see {@link shareReads}. */
export function createSnapshotReader(calls: ServerCalls): SnapshotReader {
  const shared = shareReads((directory) => readDirectory(calls, directory));
  return {
    read: (directory, options) => joinRead(shared(directory), `The state of ${directory}`, options),
  };
}

/** Three requests, each true at a time of its own: between two of them a turn may begin or a permission request may open. */
async function readDirectory(calls: ServerCalls, directory: string): Promise<DirectorySnapshot> {
  const startedAtMs = Date.now();
  const [status, permissions, questions] = await Promise.all([
    timed(() => calls.status(directory)),
    timed(() => readPermissions(calls, directory)),
    timed(() => calls.questions(directory)),
  ]);
  return {
    startedAtMs,
    sentAtMs: { status: status.sentAtMs, permissions: permissions.sentAtMs, questions: questions.sentAtMs },
    status: status.answer,
    ...permissions.answer,
    questions: questions.answer,
  };
}

async function timed<Answer>(send: () => Promise<Answer>): Promise<{ readonly sentAtMs: number; readonly answer: Answer }> {
  const sentAtMs = Date.now();
  return { sentAtMs, answer: await send() };
}

/**
 * opencode 1.18 answers 400 for the whole directory while one request holds a field that is undefined. A plugin of ours takes such
 * fields out when the request is told; until then, and for what it does not see, the sessions of the directory must not fail for it.
 */
async function readPermissions(
  calls: ServerCalls,
  directory: string,
): Promise<{ readonly permissions: PermissionRequest[]; readonly permissionsUnreadable?: string }> {
  try {
    return { permissions: await calls.permissions(directory) };
  } catch (error) {
    if (!isManagerError(error, 'BAD_REQUEST')) throw error;
    return { permissions: [], permissionsUnreadable: error.message };
  }
}
