import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isManagerError } from '@opencode-manager/core/errors';
import { unless } from '../errors.ts';
import { underLock } from '../keep/lock.ts';
import type { Run } from '../run.ts';

/**
 * What git says when it meets a half-made or half-removed worktree of somebody else, or when somebody's `prune` removed ours before it was
 * locked. It passes.
 */
const passing = /commondir|config\.lock|gitdir file|\.lock': File exists|\/worktrees\//;
const tries = 40;

/**
 * One at a time for each repository, whatever its worktree and process: of 40 `git worktree add` at once 20 and more fail on the half-made
 * directories of each other. Programs that know nothing of the lock add worktrees too; what fails because of them is tried again.
 */
export function underWorktreeLock<T>(gitDir: string, work: () => Promise<T>): Promise<T> {
  return underLock(join(gitDir, 'ocm', 'lock'), work);
}

/** Adds a worktree without files: no branch, so no name can clash, and locked, so no `prune` of others takes it. */
export async function addWorktree(run: Run, gitDir: string, path: string, commit: string): Promise<void> {
  const git = run.git.as('WORKSPACE_CREATE_FAILED').at({ GIT_DIR: gitDir });
  const add = ['worktree', 'add', '--detach', '--no-checkout', '--lock', '--reason', `ocm ${run.id} ${basename(path)}`, path, commit];
  await underWorktreeLock(gitDir, async () => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await git.run(add);
        return;
      } catch (error) {
        if (attempt === tries || !isManagerError(error, 'WORKSPACE_CREATE_FAILED') || !passing.test(error.message)) throw error;
        await removeMetadata(gitDir, path);
        await sleep(10 + Math.random() * 40);
      }
    }
  });
}

/** The directory in the repository that stands for a worktree; undefined when there is none. Half-made ones count. */
export async function metadataOf(gitDir: string, path: string): Promise<string | undefined> {
  const worktrees = join(gitDir, 'worktrees');
  const names = await readdir(worktrees).catch(unless('ENOENT'));
  for (const name of names ?? []) {
    // git adds a number when the name is taken; ours never is, but for a half-made one of the same path.
    if (!name.startsWith(basename(path))) continue;
    const named = await readFile(join(worktrees, name, 'gitdir'), 'utf8').catch(() => '');
    if (named === '' || named.trim() === join(path, '.git')) return join(worktrees, name);
  }
  return undefined;
}

/** Whether what stands for a worktree has all that git and its lock need. */
export async function isWholeMetadata(directory: string): Promise<boolean> {
  const names = new Set(await readdir(directory).catch(unless('ENOENT')));
  return ['HEAD', 'commondir', 'gitdir', 'locked', 'index'].every((name) => names.has(name));
}

/**
 * Takes a worktree out of the repository; its files are not touched. It goes by one rename: git's own removal leaves it half there for
 * a moment, and others fail on that. Call it under the lock.
 */
export async function removeMetadata(gitDir: string, path: string): Promise<void> {
  const trash = join(gitDir, 'ocm', 'trash');
  for (let there = await metadataOf(gitDir, path); there !== undefined; there = await metadataOf(gitDir, path)) {
    await mkdir(trash, { recursive: true });
    await rename(there, join(trash, randomUUID()));
  }
  await rm(trash, { recursive: true, force: true });
  await rmdir(join(gitDir, 'worktrees')).catch(unless('ENOENT', 'ENOTEMPTY', 'EEXIST'));
}
