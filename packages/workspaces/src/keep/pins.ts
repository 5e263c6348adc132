import type { Store } from '../git/source.ts';
import { inStore, type Run } from '../run.ts';

/** Keeps a commit of a store from `gc` while workspaces stand on it: their objects are the store's. */
export async function pin(run: Run, { gitDir, objects }: Store, commit: string): Promise<void> {
  if (!run.pinned.has(gitDir)) await run.ledger.append({ event: 'store', store: { gitDir, objects } });
  run.pinned.add(gitDir);
  if (run.pinned.has(`${gitDir} ${commit}`)) return;
  const git = (await inStore(run, { gitDir, objects })).as('WORKSPACE_CREATE_FAILED');
  await git.run(['update-ref', `${pinsOf(run)}${commit}`, commit]);
  run.pinned.add(`${gitDir} ${commit}`);
}

function pinsOf({ id }: Pick<Run, 'id'>): string {
  return `refs/ocm/${id}/bases/`;
}

/** Takes the pins of a run away, when nothing of it stands on them any more. */
export async function removePins(run: Pick<Run, 'id' | 'git'>, store: Store): Promise<void> {
  const git = await inStore(run, store);
  const pins = (await git.text(['for-each-ref', '--format=%(refname)', pinsOf(run)])).split('\n').filter((line) => line !== '');
  if (pins.length > 0) await git.run(['update-ref', '--stdin'], { input: pins.map((name) => `delete ${name}\n`).join('') });
}
