import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listChanges } from './capture/patch.ts';
import { resolveBase } from './git/source.ts';
import { slugOf } from './keep/root.ts';
import { originOf } from './recover.ts';
import { inStore } from './run.ts';
import type { TreeResult } from './types.ts';

/** What a repository is at a moment. */
export interface RepositoryFacts {
  /** The commit of HEAD; null before the first. */
  readonly head: string | null;
  /** Whether a tracked file differs from HEAD, or an untracked one is not ignored. */
  readonly dirty: boolean;
  /** The first commit: it names the repository wherever it lies. null before the first. Of several the smallest. */
  readonly rootCommit: string | null;
  /** Top level of its working tree; of a bare repository itself. */
  readonly top: string;
  /** Where the directory is below the top level; '' at the top. */
  readonly prefix: string;
}

/**
 * What can be said of the repository that a directory lies in; undefined outside git. Nothing is changed, and nothing of its configuration runs.
 * @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`
 * @public
 */
export async function repositoryFacts(directory: string): Promise<RepositoryFacts | undefined> {
  const { source, git } = await originOf(directory);
  if (!source) return undefined;
  const { headDir, top, prefix, bare, settings } = source;
  const at = git.at({ GIT_DIR: headDir });
  const answer = await at.run(['rev-parse', '--quiet', '--verify', 'HEAD^{commit}'], { accept: [0, 1, 128] });
  if (answer.exitCode !== 0) return { head: null, dirty: false, rootCommit: null, top, prefix };
  const roots = (await at.text(['rev-list', '--max-parents=0', 'HEAD'])).split('\n').toSorted();
  // A filter is a command, and to see what differs git would run it.
  const filters = settings.filter(([key]) => /^filter\..*\.(?:clean|smudge|process)$/i.test(key)).flatMap(([key]) => ['-c', `${key}=`]);
  const status = [...filters, 'status', '--porcelain', '-z', '--untracked-files=normal', '--ignore-submodules=none'];
  const dirty = !bare && (await at.at({ GIT_WORK_TREE: top }).run(status)).stdout !== '';
  return { head: answer.stdout.trim(), dirty, rootCommit: roots[0] ?? null, top, prefix };
}

/**
 * The commit that a name stands for in the repository of a directory.
 * @throws `WORKSPACE_SOURCE_INVALID` when there is none
 * @public
 */
export async function resolveCommit(directory: string, name: string): Promise<string> {
  const { source, git } = await originOf(directory);
  if (!source) throw new TypeError(`${directory} lies in no repository.`);
  return (await resolveBase(git, source, name)).commit;
}

/**
 * Keeps a commit from `gc` for as long as a run may need it: `cleanRuns` takes the ref away.
 * @public
 */
export async function pinCommit(directory: string, run: string, commit: string): Promise<void> {
  const { source, git } = await originOf(directory);
  if (!source) return;
  const store = (await inStore({ git }, source)).as('WORKSPACE_CREATE_FAILED');
  await store.run(['update-ref', `refs/ocm/${run}/base/${commit}`, commit]);
}

/** Which result of which run. */
export interface TakenOf {
  readonly run: string;
  readonly key: string;
  readonly attempt: number;
  /** Where the run puts patches and logs. */
  readonly artifacts: string;
}

/**
 * The result that was taken of an attempt, by whichever process: what its ref holds. Undefined when there is none: nobody has changed
 * anything there, or it was not taken.
 * @public
 */
export async function takenResult(
  directory: string,
  { run, key, attempt, artifacts }: TakenOf,
): Promise<Omit<TreeResult, 'commits' | 'historyRef' | 'truncated'> | undefined> {
  const { source, git } = await originOf(directory);
  if (!source) return undefined;
  const store = await inStore({ git }, source);
  const ref = `refs/ocm/${run}/${slugOf(key)}/${attempt}`;
  const [commit = '', tree = '', baseCommit = ''] = (
    await store.text(['for-each-ref', '--format=%(objectname) %(tree) %(parent)', ref])
  ).split(' ');
  if (commit === '') return undefined;
  const files = await listChanges(store, baseCommit, tree);
  const sum = (name: 'insertions' | 'deletions') => files.reduce((total, file) => total + (file[name] ?? 0), 0);
  const path = join(artifacts, slugOf(key), String(attempt), 'patch.diff');
  const patch = (await stat(path).catch(() => undefined))?.isFile() ? path : undefined;
  const stats = { filesChanged: files.length, insertions: sum('insertions'), deletions: sum('deletions'), files };
  return { baseCommit, tree, commit, ref, repository: source.gitDir, patch, ...stats };
}
