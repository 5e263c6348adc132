import { chmod, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { isThere } from '../capture/stage.ts';
import { removeMetadata, underWorktreeLock } from '../create/worktree.ts';
import { isErrno, unless } from '../errors.ts';
import { scratchOf, type Run } from '../run.ts';
import type { LeaseRecord } from './ledger.ts';

/**
 * Removes a workspace. The directory goes into the trash by one rename first: nobody ever finds one half empty and takes what is missing
 * for deleted by an agent. Done again after a crash it goes on where it stood.
 */
export async function removeWorkspace(run: Pick<Run, 'root' | 'source'>, record: LeaseRecord): Promise<void> {
  const trash = join(run.root, 'trash', record.id);
  // Not the root: somebody may have removed it.
  await mkdir(join(run.root, 'trash')).catch(unless('EEXIST'));
  const takeAway = () => moveAway(record.path, trash).catch(unless('ENOENT'));
  if (record.mode === 'worktree' && run.source) {
    const { gitDir } = run.source;
    await underWorktreeLock(gitDir, async () => {
      await takeAway();
      await removeMetadata(gitDir, record.path);
    });
  } else await takeAway();
  await removeTree(trash);
  await rm(scratchOf(run, record), { recursive: true, force: true });
}

/** A directory that its owner may not write cannot be moved: the way up to its parent stands in it. */
async function moveAway(path: string, to: string): Promise<void> {
  try {
    await rename(path, to);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM') || !(await isThere(path))) throw error;
    await chmod(path, 0o700);
    await rename(path, to);
  }
}

/** Also what has directories that nobody may write (the module cache of Go). */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    await execa('chmod', ['-R', 'u+rwX', '--', path], { reject: false });
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}
