import { realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { failure } from '../errors.ts';
import { readable, type ByteString } from './bytes.ts';
import type { Git } from './git.ts';
import { settingsIn, type Setting } from './user-settings.ts';

/** A repository that holds objects and refs: the source, or a submodule of it. */
export interface Store {
  /** The common directory. */
  readonly gitDir: string;
  readonly objects: string;
}

/** The user's repository. Everything here is read once, before any agent has run. */
export interface Source extends Store {
  /** Of this working tree; differs from `gitDir` for a linked worktree. */
  readonly headDir: string;
  /** Top of the working tree; the repository itself when it is bare. */
  readonly top: string;
  readonly bare: boolean;
  /** Where the user was below the top; '' at the top. */
  readonly prefix: string;
  readonly format: string;
  readonly settings: readonly Setting[];
}

/** What the tree of a commit says without a checkout. */
export interface TreeContent {
  readonly gitlinks: ReadonlyMap<ByteString, string>;
  /** Names and blobs of lock files of package managers. */
  readonly lockFiles: readonly string[];
}

export interface Base extends TreeContent {
  readonly commit: string;
  /** The branch that was named, if it was one. */
  readonly branch: string | undefined;
}

const lockFile =
  /(^|\/)(package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|yarn\.lock|bun\.lockb?|deno\.lock|Cargo\.lock|poetry\.lock|uv\.lock|Pipfile\.lock|requirements[^/]*\.txt|Gemfile\.lock|go\.sum|composer\.lock|mix\.lock|flake\.lock|gradle\.lockfile)$/;

/** The repository that a directory lies in; undefined outside git. @throws `WORKSPACE_SOURCE_INVALID` */
export async function findSource(git: Git, repository: string): Promise<Source | undefined> {
  const directory = await realpath(repository).catch((cause: unknown) => {
    throw failure('WORKSPACE_SOURCE_INVALID', `repository: ${repository} does not exist.`, { repository }, cause);
  });
  if (directory.includes('\n')) {
    const message = `repository: there is a line break in the path ${JSON.stringify(directory)}, and git cannot name it. Rename the directory.`;
    throw failure('WORKSPACE_SOURCE_INVALID', message, { repository });
  }
  const there = ['-C', directory, 'rev-parse', '--path-format=absolute'];
  const asked = await git.run(
    [...there, '--git-dir', '--git-common-dir', '--git-path', 'objects', '--is-bare-repository', '--show-object-format'],
    {
      accept: [0, 128],
    },
  );
  if (asked.exitCode !== 0 && /not a git repository/.test(asked.stderr)) return undefined;
  if (asked.exitCode !== 0)
    throw failure('WORKSPACE_SOURCE_INVALID', `repository: git refuses ${directory}: ${asked.stderr.trim()}`, { repository });
  const [headDir = '', gitDir = '', objects = '', isBare, format = 'sha1'] = readable(asked.stdout).split('\n');
  const bare = isBare === 'true';
  const top = bare ? gitDir : await topLevel(git, there, directory);
  // A repository may be without.
  const file = join(gitDir, 'config');
  const hasFile = (await stat(file).catch(() => undefined)) !== undefined;
  const settings = hasFile ? settingsIn((await git.run(['config', '--file', file, '--list', '-z'])).stdout) : [];
  const prefix = bare ? '' : relative(top, directory);
  return { gitDir, headDir, objects, top, bare, prefix, format, settings };
}

/** @throws `WORKSPACE_SOURCE_INVALID` */
async function topLevel(git: Git, there: readonly string[], directory: string): Promise<string> {
  const { stdout, exitCode } = await git.run([...there, '--show-toplevel'], { accept: [0, 128] });
  if (exitCode === 0) return readable(stdout).replace(/\n$/, '');
  const message = `repository: ${directory} lies in the git directory of a repository. Name its working tree.`;
  throw failure('WORKSPACE_SOURCE_INVALID', message, { repository: directory });
}

/** The variables with which a git works on a store. */
export async function storeEnvironment({ gitDir, objects }: Store): Promise<Record<string, string>> {
  const shallow = join(gitDir, 'shallow');
  const isShallow = await stat(shallow).then(
    () => true,
    () => false,
  );
  return { GIT_OBJECT_DIRECTORY: objects, ...(isShallow && { GIT_SHALLOW_FILE: shallow }) };
}

/** The commit that a name stands for, and its branch. @throws `WORKSPACE_SOURCE_INVALID` */
export async function resolveBase(git: Git, source: Source, name: string): Promise<Omit<Base, keyof TreeContent>> {
  const args = ['rev-parse', '--revs-only', `${name}^{commit}`, '--symbolic-full-name', name];
  const { stdout } = await git.at({ GIT_DIR: source.headDir }).run(args, { accept: [0, 1, 128] });
  const [, commit, branch] = /^([0-9a-f]{40,64})\n(?:(refs\/heads\/.+)\n)?/.exec(readable(stdout)) ?? [];
  if (commit !== undefined && !name.startsWith('-')) return { commit, branch };
  const message = `base: ${name} is no commit of ${source.top}. Name a commit, or make the first one.`;
  throw failure('WORKSPACE_SOURCE_INVALID', message, { base: name });
}

/** Whether HEAD is a branch without a commit yet. */
export async function isUnborn(git: Git, { headDir }: Source): Promise<boolean> {
  const at = git.at({ GIT_DIR: headDir });
  const { exitCode } = await at.run(['rev-parse', '--quiet', '--verify', 'HEAD'], { accept: [0, 1, 128] });
  return exitCode !== 0 && (await at.run(['symbolic-ref', '--quiet', 'HEAD'], { accept: [0, 1, 128] })).exitCode === 0;
}

export async function readTree(git: Git, commit: string): Promise<TreeContent> {
  const gitlinks = new Map<ByteString, string>();
  const lockFiles: string[] = [];
  for (const entry of await git.list(['ls-tree', '-r', '-z', '--full-tree', commit])) {
    const tab = entry.indexOf('\t');
    const path = entry.slice(tab + 1);
    if (entry.startsWith('160000')) gitlinks.set(path, entry.slice(tab - commit.length, tab));
    else if (lockFile.test(path)) lockFiles.push(entry);
  }
  return { gitlinks, lockFiles };
}

/** Of these ids of objects, those that are there: a broken ref of the user's names one that is not. */
export async function presentIn(git: Git, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const { stdout } = await git.run(['cat-file', '--batch-check=%(objectname)'], { input: ids.map((id) => `${id}\n`).join('') });
  return new Set(stdout.split('\n').filter((line) => line !== '' && !line.endsWith(' missing')));
}
