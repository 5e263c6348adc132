import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failure, isErrno, isFull, unless } from '../errors.ts';

/**
 * A note in the repository's common directory, `ocm/<run>`, with where a run has its directory: it finds runs of every worktree, with
 * directories of any name, and tells of those whose directory somebody has removed.
 * @throws `WORKSPACE_SOURCE_INVALID`, `WORKSPACE_CREATE_FAILED`
 */
export async function registerRun(gitDir: string, run: string, root: string): Promise<void> {
  try {
    await mkdir(join(gitDir, 'ocm'), { recursive: true });
    await writeFile(join(gitDir, 'ocm', run), `${root}\n`);
  } catch (error) {
    await forgetRun(gitDir, run).catch(() => undefined);
    if (!isFull(error) && !isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
    const remedy = isFull(error) ? 'Make room there.' : 'Let this user write there, or work in a clone of it.';
    const message = `repository: ${gitDir} cannot be written (${(error as NodeJS.ErrnoException).code}), and results go there as refs. ${remedy}`;
    throw failure(isFull(error) ? 'WORKSPACE_CREATE_FAILED' : 'WORKSPACE_SOURCE_INVALID', message, { gitDir }, error);
  }
}

export async function registeredRuns(gitDir: string): Promise<Map<string, string>> {
  const names = ((await readdir(join(gitDir, 'ocm')).catch(unless('ENOENT'))) ?? []).filter((name) => name !== 'lock' && name !== 'trash');
  const roots = await Promise.all(names.map(async (name) => [name, (await readFile(join(gitDir, 'ocm', name), 'utf8')).trim()] as const));
  return new Map(roots);
}

export async function forgetRun(gitDir: string, run: string): Promise<void> {
  await rm(join(gitDir, 'ocm', run), { force: true });
}
