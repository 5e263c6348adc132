import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readable } from '../git/bytes.ts';
import type { Git } from '../git/git.ts';
import { failure, isErrno } from '../errors.ts';
import { presentIn, type Store } from '../git/source.ts';
import { inObjects, inStore, type Part, type Run } from '../run.ts';
import type { AgentCommit } from '../types.ts';
import { readTips } from './agent-refs.ts';
import { commitTree } from './commit.ts';

export interface History {
  /** From the base to HEAD. */
  readonly commits: readonly AgentCommit[];
  /** A commit whose parents are all that the agent left; undefined when the source holds it all. */
  readonly keeper: string | undefined;
  /** Bytes of a commit's file that is too large to be taken over; then nothing of the history was. */
  readonly tooLarge: boolean;
}

const none: History = { commits: [], keeper: undefined, tooLarge: false };

/**
 * Takes over what an agent committed and stashed, on whatever branch, amended and rebased away too (as far as its reflog tells): it goes
 * with the workspace otherwise. The agent's repository is read as files and objects, and no git runs in it.
 */
export async function takeHistory(run: Run, part: Part, tree: string, scratch: string): Promise<History> {
  // In a worktree the objects are the source's already.
  const own = await hasObjects(part.agentDir);
  const tips = await readTips(part.agentDir);
  if (tips.size === 0 || (tips.size === 1 && tips.has(part.base))) return none;
  const store = (await inObjects(run, part)).as('WORKSPACE_CAPTURE_FAILED');
  const git = own ? store.at({ GIT_ALTERNATE_OBJECT_DIRECTORIES: JSON.stringify(join(part.agentDir, 'objects')) }) : store;
  const held = [part.base, ...(await heldBy(run, part))];
  const range = [...tips.keys(), ...held.map((commit) => `^${commit}`)].map((line) => `${line}\n`).join('');
  const added = linesOf(await git.text(['rev-list', '--ignore-missing', '--parents', '--stdin'], { input: range }));
  const head = Array.from(tips).find(([, name]) => name === 'HEAD')?.[0];
  const commits = head === undefined ? [] : await listCommits(git, part.base, head);
  if (added.length === 0) return { ...none, commits };
  if (own && (await hasLargeFile(run, git, range))) return { commits, keeper: undefined, tooLarge: true };
  if (own) await takeObjects(git, store, range, added.length, scratch);
  const ends = withoutParents(added).map((commit) => [commit, tips.get(commit) ?? ''] as const);
  return { commits, keeper: await keep(run, part, tree, ends), tooLarge: false };
}

/** One commit that holds many. */
function keep(
  run: Pick<Run, 'git' | 'toolsDir'>,
  store: Store,
  tree: string,
  ends: readonly (readonly [commit: string, name: string])[],
): Promise<string> {
  const names = ends.map(([commit, name]) => `${commit} ${name}`).join('\n');
  return commitTree(
    run,
    store,
    tree,
    ends.map(([commit]) => commit),
    `What the agent left of its history\n\n${names}`,
  );
}

/** What branches, tags, remote-tracking branches and the stash of a store hold. */
async function heldBy(run: Run, store: Store): Promise<string[]> {
  const git = await inStore(run, store);
  const refs = await git.text(['for-each-ref', '--format=%(objectname)', 'refs/heads', 'refs/tags', 'refs/remotes', 'refs/stash']);
  return [...(await presentIn(git, [...new Set(linesOf(refs))]))];
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function withoutParents(lines: readonly string[]): string[] {
  const parents = new Set(lines.flatMap((line) => line.split(' ').slice(1)));
  return lines.map((line) => line.split(' ', 1)[0]!).filter((commit) => !parents.has(commit));
}

async function hasLargeFile(run: Run, git: Git, range: string): Promise<boolean> {
  const filter = [`--filter=blob:limit=${run.limits.fileBytes + 1}`, '--filter-print-omitted'];
  const { stdout } = await git.run(['rev-list', '--ignore-missing', '--objects', '--no-object-names', ...filter, '--stdin'], {
    input: range,
  });
  return /^~/m.test(stdout);
}

/** @throws `WORKSPACE_CAPTURE_FAILED` when nobody can tell */
async function hasObjects(gitDir: string): Promise<boolean> {
  try {
    await readdir(join(gitDir, 'objects'));
    return true;
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) return false;
    throw failure(
      'WORKSPACE_CAPTURE_FAILED',
      `${gitDir} cannot be read (${(error as NodeJS.ErrnoException).code}).`,
      { path: gitDir },
      error,
    );
  }
}

/** Every object is hashed anew on its way in. Few become loose objects, as with `git fetch`. */
async function takeObjects(git: Git, store: Git, range: string, commits: number, scratch: string): Promise<void> {
  const name = (await git.text(['pack-objects', '--revs', '--quiet', join(scratch, 'history')], { input: range })).trim();
  const pack = join(scratch, `history-${name}`);
  await store.run(commits < 100 ? ['unpack-objects', '-q', '--strict'] : ['index-pack', '--stdin', '--strict'], {
    inputFile: `${pack}.pack`,
  });
  await Promise.all(['pack', 'idx', 'rev'].map((end) => rm(`${pack}.${end}`, { force: true })));
}

async function listCommits(git: Git, base: string, head: string): Promise<AgentCommit[]> {
  const format = '--format=%H%x00%s%x00%an';
  const { stdout } = await git.run([
    'rev-list',
    '--ignore-missing',
    '--max-count=100',
    '--no-commit-header',
    '--encoding=UTF-8',
    format,
    head,
    `^${base}`,
  ]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [id = '', subject = '', author = ''] = line.split('\0');
      return { id, subject: readable(subject), author: readable(author) };
    });
}

/** Differs when the agent has committed, stashed or switched since. */
export async function historyMark(parts: readonly Part[]): Promise<string> {
  const tips = await Promise.all(parts.map((part) => readTips(part.agentDir)));
  return JSON.stringify(tips.map((map) => Array.from(map)));
}
