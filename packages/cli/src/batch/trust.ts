import { isManagerError, type OpencodeServer } from '@opencode-manager/core';
import type { NamedTask } from '../task-file/index.ts';

/**
 * Refuses a run, before its first prompt, when the directory of one of its tasks carries opencode plugins.
 * @throws OpencodeManagerError `WORKSPACE_UNTRUSTED`
 */
export async function refuseUntrustedDirectories(server: OpencodeServer, tasks: readonly NamedTask[]): Promise<void> {
  const directories = new Set(tasks.map(({ directory }) => directory).filter((directory) => directory !== undefined));
  for (const directory of directories) await askWhetherTrusted(server, directory);
}

/**
 * The server looks at a directory before it sends anything. Under a signal that is aborted already nothing is sent at
 * all: no session is made, and no instance of the directory is started, which would cost 40 MB each.
 */
async function askWhetherTrusted(server: OpencodeServer, directory: string): Promise<void> {
  try {
    await server.createOperations({ directory, signal: AbortSignal.abort() });
  } catch (error) {
    if (!isManagerError(error, 'REQUEST_ABORTED')) throw error;
  }
}
