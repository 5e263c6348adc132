import { lstat, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { gitDirAt } from '../create/repository.ts';
import { readable, type ByteString } from '../git/bytes.ts';
import type { Git } from '../git/git.ts';
import { inTree, type Part, type Run } from '../run.ts';
import { readHead } from './agent-refs.ts';
import { look, type Left } from './look.ts';

export interface Staged {
  readonly tree: string;
  readonly left: readonly Left[];
  /** HEADs of submodules, as one text. */
  readonly links: string;
}

/** The directory of a part. */
export function directoryOf(workspace: string, part: Pick<Part, 'path'>): string {
  return part.path === '' ? workspace : join(workspace, part.path);
}

/** Whether a directory is where it was: not gone, no file, and not reached through a link that somebody has made. */
export async function isThere(path: string): Promise<boolean> {
  const there = await lstat(path).catch(() => undefined);
  return there?.isDirectory() === true && (await realpath(path).catch(() => '')) === path;
}

/** Submodules that we checked out directly below a part, as it names them. */
export function ownedBy(part: Pick<Part, 'path'>, parts: readonly Part[]): ReadonlySet<string> {
  const below = parts.filter(
    (other) => other !== part && other.path.startsWith(part.path === '' ? '' : `${part.path}/`) && other.path !== part.path,
  );
  return new Set(below.map((other) => (part.path === '' ? other.path : other.path.slice(part.path.length + 1))));
}

/**
 * Brings an index up to the files of a part and writes it as a tree, into the store. Untracked files, deletions, modes and symlinks count,
 * `.gitignore` is respected, submodules are named by their HEAD. The index is ours; the agent's is neither read nor written. With what the
 * same index gave `before`, nothing is written when nothing has changed since.
 */
export async function stage(
  run: Run,
  part: Part,
  workspace: string,
  owned: ReadonlySet<string>,
  index: string,
  before?: Staged,
): Promise<Staged> {
  const directory = directoryOf(workspace, part);
  const git = (await inTree(run, part, directory, index)).as('WORKSPACE_CAPTURE_FAILED');
  const { changed, same, left, special } = await look(run, git, part, directory, owned);
  const heads = await standingLinks(part, directory);
  const links = JSON.stringify([...heads]);
  const isSame = before?.links === links && changed.length === left.filter(({ path }) => changed.includes(path)).length;
  if (before && isSame) return { tree: before.tree, left, links };
  const excluded = [...left.map(({ path }) => path), ...same, ...heads.keys()];
  if (changed.length > 0 || heads.size < part.gitlinks.length) await addAll(git, excluded);
  await setEntries(git, special, heads, '0'.repeat(part.base.length));
  return { tree: await git.text(['write-tree']), left, links };
}

/** Submodules whose place is a directory still, with the HEAD that a repository there has. */
async function standingLinks(part: Part, directory: string): Promise<Map<ByteString, string>> {
  const links = new Map<ByteString, string>();
  for (const [path, commit] of part.gitlinks) {
    const place = join(directory, readable(path));
    if (!(await isThere(place))) continue;
    const gitDir = await gitDirAt(place).catch(() => undefined);
    links.set(path, (gitDir === undefined ? undefined : await readHead(gitDir)) ?? commit);
  }
  return links;
}

/** What is excluded stays as the index has it. git starts nothing for excluded submodules: their configuration is an agent's. */
async function addAll(git: Git, excluded: readonly ByteString[]): Promise<void> {
  const input = [':(top)', ...excluded.map((path) => `:(top,exclude,literal)${path.replace(/\/$/, '')}`)]
    .map((spec) => `${spec}\0`)
    .join('');
  await git.run(['add', '--all', '--pathspec-from-file=-', '--pathspec-file-nul'], { input });
}

async function setEntries(git: Git, gone: readonly ByteString[], links: ReadonlyMap<ByteString, string>, nothing: string): Promise<void> {
  const entries = [
    ...gone.map((path) => `0 ${nothing}\t${path}\0`),
    ...Array.from(links, ([path, commit]) => `160000 ${commit}\t${path}\0`),
  ];
  if (entries.length > 0) await git.run(['update-index', '-z', '--index-info'], { input: entries.join('') });
}
