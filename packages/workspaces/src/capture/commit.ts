import type { Store } from '../git/source.ts';
import { inObjects, inStore, type Run } from '../run.ts';

/** Makes a commit of a tree in a store; no hook, no signature, our own name. */
export async function commitTree(
  run: Pick<Run, 'git' | 'toolsDir'>,
  store: Store,
  tree: string,
  parents: readonly string[],
  message: string,
): Promise<string> {
  const git = (await inObjects(run, store)).as('WORKSPACE_CAPTURE_FAILED');
  const args = ['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent])];
  return git.text(args, { input: Buffer.from(`${message}\n`).toString('latin1') });
}

/** Sets refs of a store, all or none. */
export async function setRefs(
  run: Pick<Run, 'git'>,
  store: Store,
  refs: readonly (readonly [name: string, commit: string])[],
): Promise<void> {
  const git = (await inStore(run, store)).as('WORKSPACE_CAPTURE_FAILED');
  await git.run(['update-ref', '--stdin'], { input: refs.map(([name, commit]) => `update ${name} ${commit}\n`).join('') });
}

/** The commit and the tree of a ref; undefined when there is none. */
export async function readRef(run: Pick<Run, 'git'>, store: Store, ref: string): Promise<{ commit: string; tree: string } | undefined> {
  const git = await inStore(run, store);
  const [commit = '', tree = ''] = (await git.text(['for-each-ref', '--format=%(objectname) %(tree)', ref])).split(' ');
  if (commit === '') return undefined;
  return { commit, tree };
}
