import { appendFile, copyFile, lstat, mkdir, readdir, readFile, realpath, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { unless } from '../errors.ts';
import { readable } from '../git/bytes.ts';
import { presentIn, type Store } from '../git/source.ts';
import { configText } from '../git/tools-directory.ts';
import type { Setting } from '../git/user-settings.ts';
import { inStore, inTree, type Run } from '../run.ts';

/** What a repository that shares the objects of a store begins with. */
export interface NewRepository {
  /** Undefined for a branch without a commit. */
  readonly commit: string | undefined;
  /** HEAD stands on it; without one HEAD is detached. */
  readonly branch?: string | undefined;
  readonly settings: readonly Setting[];
}

/**
 * What `git clone --shared --no-checkout` makes, from the store's refs and objects as they are: of a shallow source too, without a transport,
 * and with the branches and remote-tracking branches of the source under their own names. No hooks, no stash, no configuration but `settings`.
 */
export async function makeRepository(
  run: Run,
  store: Store,
  directory: string,
  { commit, branch, settings }: NewRepository,
): Promise<void> {
  const gitDir = join(directory, '.git');
  const git = run.git.as('WORKSPACE_CREATE_FAILED');
  await git.run(['init', '--quiet', '--template=', `--object-format=${run.source?.format ?? 'sha1'}`, directory]);
  await mkdir(join(gitDir, 'info'), { recursive: true });
  await writeFile(join(gitDir, 'objects', 'info', 'alternates'), `${store.objects}\n`);
  await copyFile(join(store.gitDir, 'shallow'), join(gitDir, 'shallow')).catch(unless('ENOENT'));
  await copyFile(join(run.toolsDir, 'info', 'exclude'), join(gitDir, 'info', 'exclude'));
  await writeFile(join(gitDir, 'packed-refs'), await refsFor(run, store, commit, branch), 'latin1');
  await writeFile(join(gitDir, 'HEAD'), branch === undefined ? `${commit}\n` : `ref: ${branch}\n`);
  await appendFile(join(gitDir, 'config'), configText(settings));
}

async function refsFor(run: Run, store: Store, commit: string | undefined, branch: string | undefined): Promise<string> {
  const git = (await inStore(run, store)).as('WORKSPACE_CREATE_FAILED');
  const format = '--format=%(if)%(symref)%(then)%(else)%(objectname) %(refname)%(end)';
  const { stdout } = await git.run(['for-each-ref', format, 'refs/heads', 'refs/remotes', 'refs/tags']);
  const all = stdout.split('\n').filter((line) => line !== '' && !line.endsWith(` ${branch}`));
  const idOf = (line: string) => line.slice(0, line.indexOf(' '));
  const present = await presentIn(git, all.map(idOf));
  const lines = all.filter((line) => present.has(idOf(line)));
  // The branch may have moved since the base was resolved.
  if (branch !== undefined && commit !== undefined) lines.push(`${commit} ${branch}`);
  return lines.map((line) => `${line}\n`).join('');
}

const copied = /^(core\.(autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode)|user\.(name|email)|submodule\..*\.(url|active))$/;

/** Of the source's configuration, what a repository of the agent's own starts with: the same files, the same name, the same origin. */
export function settingsOfClone(run: Run): Setting[] {
  const { source } = run;
  if (!source) return [];
  const url = source.settings.find(([key]) => key === 'remote.origin.url')?.[1];
  const origin: Setting[] = [
    ['remote.origin.url', originUrl(url ?? '', source.top)],
    ['remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*'],
  ];
  const refused = [source.top, source.gitDir].map((path): Setting => [`url.refused-by-opencode-manager:.pushinsteadof`, path]);
  return [...source.settings.filter(([key]) => copied.test(key)), ...(url === undefined ? [] : origin), ...refused];
}

/** Without a password, and meaning the same from another directory. */
function originUrl(url: string, top: string): string {
  if (/^\.\.?(\/|$)/.test(url)) return resolve(top, url);
  return url.replace(/^(https?:\/\/)[^/@]*@/, '$1');
}

/** Writes the files of a commit, and an index that knows them. */
export async function checkOut(run: Run, store: Store, directory: string, commit: string, index: string): Promise<void> {
  const git = (await inTree(run, store, directory, index)).as('WORKSPACE_CREATE_FAILED');
  await git.run(['read-tree', '--reset', '-u', commit]);
}

/** An index says when it was written, and trusts files that are older: its copy must not look younger. */
export async function copyIndex(from: string, to: string): Promise<void> {
  const { atimeMs, mtimeMs } = await stat(from);
  await copyFile(from, to);
  await utimes(to, atimeMs / 1000, Math.floor(mtimeMs) / 1000);
}

/** The directory that a `.git` stands for, or names; undefined when there is none. */
export async function gitDirAt(directory: string): Promise<string | undefined> {
  const path = join(directory, '.git');
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() === true) return path;
  if (there?.isFile() !== true) return undefined;
  const named = /^gitdir: (.+)\n?$/.exec(await readFile(path, 'utf8'))?.[1];
  return named === undefined ? undefined : resolve(directory, named);
}

/**
 * Gives a directory of a copy a repository of its own, when its `.git` leads out of the copy: it shares the objects of that one, with the
 * same HEAD and index. What cannot be followed is removed.
 */
export async function ownRepository(run: Run, copy: string, directory: string): Promise<void> {
  const gitDir = await gitDirAt(directory)
    .then((path) => path && realpath(path))
    .catch(() => undefined);
  if (gitDir?.startsWith(`${copy}${sep}`)) return;
  await replaceRepository(run, gitDir, directory);
}

/** Puts a repository of its own in the place of a `.git`, with the HEAD, the objects and the index of another one. */
export async function replaceRepository(run: Run, gitDir: string | undefined, directory: string): Promise<void> {
  await rm(join(directory, '.git'), { recursive: true, force: true });
  if (gitDir === undefined) return;
  const git = run.git.at({ GIT_DIR: gitDir });
  const { stdout, exitCode } = await git.run(['rev-parse', '--verify', '--quiet', 'HEAD^{commit}'], { accept: [0, 1, 128] });
  const name = (await git.run(['symbolic-ref', '--quiet', 'HEAD'], { accept: [0, 1, 128] })).stdout.trim();
  const branch = name.startsWith('refs/heads/') ? readable(name) : undefined;
  if (exitCode !== 0 && branch === undefined) return;
  const [common = '', objects = ''] = (
    await git.text(['rev-parse', '--path-format=absolute', '--git-common-dir', '--git-path', 'objects'])
  ).split('\n');
  const commit = exitCode === 0 ? stdout.trim() : undefined;
  await makeRepository(run, { gitDir: common, objects }, directory, { commit, branch, settings: settingsOfClone(run) });
  await copyIndex(join(gitDir, 'index'), join(directory, '.git', 'index')).catch(unless('ENOENT'));
  // A split index lies in two files.
  for (const shared of (await readdir(gitDir)).filter((file) => file.startsWith('sharedindex.')))
    await copyIndex(join(gitDir, shared), join(directory, '.git', shared));
}

/** Whether a copied `.git` is a directory in which nothing leads elsewhere: no link out of the copy, and no setting that names another place for files. */
export async function isWhole(copy: string): Promise<boolean> {
  const gitDir = join(copy, '.git');
  if ((await lstat(gitDir).catch(() => undefined))?.isDirectory() !== true) return false;
  const config = await readFile(join(gitDir, 'config'), 'latin1').catch(() => '');
  if (/^\s*(\[core\]\s*)?worktree\s*=/im.test(config)) return false;
  for (const name of ['.', 'refs', 'refs/heads', 'objects', 'logs', 'logs/refs']) {
    const entries = await readdir(join(gitDir, name), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isSymbolicLink() && !(await staysIn(copy, join(gitDir, name, entry.name)))) return false;
  }
  return true;
}

async function staysIn(copy: string, link: string): Promise<boolean> {
  return (await realpath(link).catch(() => '')).startsWith(`${copy}${sep}`);
}
