import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from './errors.ts';
import type { AcquireOptions, Workspace, Workspaces, WorkspacesOptions } from './types.ts';

/** Mode `shared`: everybody works in the source, and there is nothing to make, to take or to remove. */
export async function sharedWorkspaces(options: WorkspacesOptions, top: string, prefix: string): Promise<Workspaces> {
  const path = await realpath(top);
  const slots = new Set<number>();
  const attempts = new Map<string, number>();
  let isClosed = false;
  let isNoted = false;
  const acquire = async (key: string, _options?: AcquireOptions | string | number): Promise<Workspace> => {
    if (isClosed) throw failure('WORKSPACES_CLOSED', 'The workspaces of this run are closed. Open them again.');
    let slot = 0;
    while (slots.has(slot)) slot += 1;
    slots.add(slot);
    if (slots.size > 1 && !isNoted) {
      isNoted = true;
      options.onNote?.({ code: 'several_in_shared', message: `Several tasks work in ${path} at once and see each other's changes.` });
    }
    const attempt = (attempts.get(key) ?? 0) + 1;
    attempts.set(key, attempt);
    const release = async () => {
      slots.delete(slot);
      return { removed: false };
    };
    const environment = { OCM_TASK_ID: key, OCM_SLOT: String(slot), OCM_WORKSPACE: path };
    return {
      key,
      attempt,
      mode: 'shared',
      slot,
      path,
      directory: join(path, prefix),
      baseCommit: undefined,
      environment,
      capture: async () => undefined,
      release,
      [Symbol.asyncDispose]: async () => void (await release()),
    };
  };
  const close = async () => {
    isClosed = true;
  };
  return { run: options.run ?? 'shared', mode: 'shared', root: undefined, acquire, reopen: acquire, close, [Symbol.asyncDispose]: close };
}
