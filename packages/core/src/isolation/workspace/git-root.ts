import { execFile } from 'node:child_process';
import type { Stats } from 'node:fs';
import { access, lstat } from 'node:fs/promises';
import { dirname, join, normalize, resolve } from 'node:path';
import { exhaustionOf } from '../../errors/index.ts';
import { isInside, orUndefined } from './read-file.ts';

/** What opencode takes for the project of a directory. */
export interface Project {
  /** Where it stops looking for configuration on its way up; `/` outside git. */
  readonly root: string;
  readonly insideGit: boolean;
}

/** Gives the project of a directory; asks git only when something that git would look at has changed. */
export type ProjectReader = (directory: string) => Promise<Project>;

/** git answers within milliseconds, unless a repository makes it wait (a FIFO in place of a file): opencode would wait for ever. */
const gitTimeoutMs = 5000;

/** git was asked in a directory and did not answer. */
export class GitUnanswered extends Error {
  constructor(at: string) {
    super(`git does not answer in ${at} within ${gitTimeoutMs / 1000} s`);
  }
}

interface Answer {
  readonly project: Project;
  /** Everything named `.git` (or standing for one) that decided it, and how that looked before git was asked. */
  readonly watched: readonly string[];
  readonly stamp: string;
}

/**
 * Decides as opencode does: the nearest `.git` above names the directory in which git is asked; when git knows no repository there
 * (the `.git` is empty, garbage, or of another user), there is none. A scan that stopped at anything named `.git` could be led astray.
 */
export function createProjectReader(environment: () => NodeJS.ProcessEnv): ProjectReader {
  const known = new Map<string, Answer>();
  return async (directory) => {
    const answer = known.get(directory);
    if (answer && (await stampOf(answer.watched)) === answer.stamp) return answer.project;
    const next = await ask(directory, environment());
    known.set(directory, next);
    return next.project;
  };
}

async function ask(directory: string, environment: NodeJS.ProcessEnv): Promise<Answer> {
  const candidates = [...withParents(directory)].map((place) => join(place, '.git'));
  const stamps = await Promise.all(candidates.map(stampOfGit));
  const at = await nearestGit(candidates);
  const found = at === undefined ? undefined : await askGit(dirname(at), environment);
  if (!found) return { project: { root: '/', insideGit: false }, watched: candidates, stamp: stamps.join('\n') };
  // git may have passed a broken `.git` on its way up; above the worktree nothing was looked at.
  const upTo = candidates.indexOf(join(found.worktree, '.git'));
  const passed = upTo === -1 ? candidates : candidates.slice(0, upTo + 1);
  const elsewhere = [...new Set([found.gitDirectory, found.commonDirectory])].filter((path) => !passed.includes(path));
  const stamp = [...stamps.slice(0, passed.length), ...(await Promise.all(elsewhere.map(stampOfGit)))].join('\n');
  // A worktree elsewhere (`core.worktree`) is never met on the way up: opencode goes on to `/`.
  const project = isInside(directory, found.worktree) ? { root: found.worktree, insideGit: true } : { root: '/', insideGit: false };
  return { project, watched: [...passed, ...elsewhere], stamp };
}

async function nearestGit(candidates: readonly string[]): Promise<string | undefined> {
  for (const candidate of candidates) if (await exists(candidate)) return candidate;
  return undefined;
}

/** As opencode sees it: a link to nothing does not exist. */
function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

interface GitAnswer {
  readonly worktree: string;
  readonly gitDirectory: string;
  readonly commonDirectory: string;
}

async function askGit(at: string, environment: NodeJS.ProcessEnv): Promise<GitAnswer | undefined> {
  const all = await revParse(at, ['--show-toplevel', '--git-dir', '--git-common-dir'], environment);
  const [worktree, gitDirectory, commonDirectory] = all ?? [];
  if (worktree && gitDirectory && commonDirectory) return { worktree, gitDirectory, commonDirectory };
  // A bare repository has no worktree: the directory itself is the project.
  const [bare, common] = (await revParse(at, ['--git-dir', '--git-common-dir'], environment)) ?? [];
  return bare && common ? { worktree: at, gitDirectory: bare, commonDirectory: common } : undefined;
}

function revParse(at: string, flags: readonly string[], env: NodeJS.ProcessEnv): Promise<string[] | undefined> {
  const options = { cwd: at, env, timeout: gitTimeoutMs, killSignal: 'SIGKILL', maxBuffer: 65_536 } as const;
  return new Promise((settle, fail) => {
    const git = execFile('git', ['rev-parse', ...flags], options, (error, stdout) => {
      if (error?.killed) return fail(new GitUnanswered(at));
      const exhausted = exhaustionOf(error);
      if (exhausted) return fail(exhausted);
      const paths = stdout.replace(/\n$/, '').split('\n');
      settle(error ? undefined : paths.map((path) => normalize(resolve(at, path))));
    });
    git.stdin?.end();
  });
}

/** What makes a directory a repository to git, and what says where its worktree is. */
const filesOfGit = ['HEAD', 'config', 'config.worktree', 'commondir', 'gitdir', 'objects', 'refs'];

async function stampOf(watched: readonly string[]): Promise<string> {
  return (await Promise.all(watched.map(stampOfGit))).join('\n');
}

async function stampOfGit(path: string): Promise<string> {
  const own = await stampOfPath(path);
  // A file that points elsewhere holds all that it says; what it points to is watched by itself.
  if (own.stats?.isFile() !== false) return own.text;
  const inner = await Promise.all(filesOfGit.map((name) => stampOfPath(join(path, name))));
  return [own.text, ...inner.map(({ text }) => text)].join(' ');
}

/** A directory's times change with every commit, so that its identity stands for it. */
async function stampOfPath(path: string): Promise<{ readonly text: string; readonly stats?: Stats }> {
  const stats = await orUndefined(lstat(path));
  if (!stats) return { text: '-' };
  const identity = `${stats.dev}:${stats.ino}:${stats.mode}:${stats.uid}`;
  return { text: stats.isDirectory() ? identity : `${identity}:${stats.size}:${stats.ctimeMs}`, stats };
}

/** A directory and those above it, up to `root` (when that is one of them) or `/`. */
export function* withParents(directory: string, root = '/'): Generator<string> {
  for (let at = directory; ; at = dirname(at)) {
    yield at;
    if (at === root || at === dirname(at)) return;
  }
}
