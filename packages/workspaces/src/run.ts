import { join } from 'node:path';
import type { ByteString } from './git/bytes.ts';
import type { Environment, Git } from './git/git.ts';
import { storeEnvironment, type Source, type Store, type TreeContent } from './git/source.ts';
import type { Ledger } from './keep/ledger.ts';
import type { WorkspaceLimits, WorkspaceMode, WorkspaceNote, WorkspacesOptions } from './types.ts';

/** What every part of a run needs to know of it. */
export interface Run {
  readonly id: string;
  readonly mode: WorkspaceMode;
  readonly root: string;
  readonly artifacts: string;
  /** What setups made, for later workspaces: of all runs of the repository that lie beside it. */
  readonly templates: string;
  /** Undefined outside git. */
  readonly source: Source | undefined;
  /** Top of what workspaces are made of. */
  readonly top: string;
  /** Where results go: the source, outside git the run's own directory. */
  readonly store: Store;
  /** git as we run it. */
  readonly git: Git;
  /** The directory that `makeToolsDirectory` made. */
  readonly toolsDir: string;
  /** The environment of tools. */
  readonly tools: Environment;
  readonly limits: Required<WorkspaceLimits>;
  readonly options: Pick<WorkspacesOptions, 'include' | 'lfs' | 'setup' | 'ready'>;
  readonly ledger: Ledger;
  /** Git directories that the ledger names as having pins, and the pins that were set. */
  readonly pinned: Set<string>;
  /** What was read of commits, by their ids. */
  readonly contents: Map<string, Promise<TreeContent>>;
  readonly note: (note: WorkspaceNote) => void;
}

/** One repository of a workspace: the workspace itself, or a submodule that was checked out in it. Plain JSON: it stands in the ledger. */
export interface Part extends Store {
  /** Below the workspace; '' for the workspace itself. */
  readonly path: string;
  readonly base: string;
  /** Paths and commits of submodules. */
  readonly gitlinks: readonly (readonly [path: ByteString, commit: string])[];
  /** The git directory that the agent uses there. It may do with it what it likes. */
  readonly agentDir: string;
  /** File with the index as it was after the checkout. */
  readonly index: string;
}

/** git on the refs of a store. Its configuration may be an agent's (mode `worktree`): only what runs nothing of it is called here. */
export async function inStore(run: Pick<Run, 'git'>, store: Store): Promise<Git> {
  return run.git.at({ ...(await storeEnvironment(store)), GIT_DIR: store.gitDir });
}

/** git on the objects of a store, with the tools' own git directory. */
export async function inObjects(run: Pick<Run, 'git' | 'toolsDir'>, store: Store): Promise<Git> {
  return run.git.at({ ...(await storeEnvironment(store)), GIT_DIR: run.toolsDir });
}

/** git on a tree of files, with the tools' own git directory. */
export async function inTree(run: Run, store: Store, directory: string, index: string): Promise<Git> {
  return (await inObjects(run, store)).at({
    GIT_WORK_TREE: directory,
    GIT_INDEX_FILE: index,
    ...(run.options.lfs !== true && { GIT_LFS_SKIP_SMUDGE: '1' }),
  });
}

/** Directory for the files of a lease that its workspace does not hold: indexes, what was there before. */
export function scratchOf(run: Pick<Run, 'root'>, lease: { readonly id: string }): string {
  return join(run.root, 'leases', lease.id);
}
