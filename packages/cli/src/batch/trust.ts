import type { OpencodeServer } from '@opencode-manager/core';
import type { NamedTask } from '../task-file/index.ts';

/**
 * Refuses a run, before its first prompt, when the directory of one of its tasks carries opencode plugins.
 * @throws OpencodeManagerError `WORKSPACE_UNTRUSTED`
 */
export async function refuseUntrustedDirectories(server: OpencodeServer, tasks: readonly NamedTask[]): Promise<void> {
  const directories = new Set(tasks.map(({ directory }) => directory).filter((directory) => directory !== undefined));
  for (const directory of directories) await server.checkDirectory(directory);
}
