import { constants, copyFile, lstat, mkdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathOf } from '../git/bytes.ts';
import { inTree, type Run } from '../run.ts';

/**
 * Copies files of the source that no commit has: those that `.worktreeinclude` or the option `include` match and that are ignored. Both
 * conditions: a pattern alone must not carry work of the user's that is not committed yet into every workspace.
 */
export async function copyIncluded(run: Run, workspace: string, scratch: string): Promise<boolean> {
  const { source } = run;
  if (!source || source.bare) return false;
  const patterns = `${await readFile(join(source.top, '.worktreeinclude'), 'latin1').catch(() => '')}\n${(run.options.include ?? []).join('\n')}\n`;
  if (/^\s*(#.*\s*)*$/.test(patterns)) return false;
  const file = join(scratch, 'include');
  await writeFile(file, patterns, 'latin1');
  const git = (await inTree(run, source, source.top, join(source.headDir, 'index'))).as('WORKSPACE_CREATE_FAILED');
  const matching = await git.list(['ls-files', '-z', '--others', '--ignored', `--exclude-from=${file}`]);
  if (matching.length === 0) return false;
  const input = matching.map((path) => `${path}\0`).join('');
  const ignored = await git.list(['check-ignore', '-z', '--stdin', '--no-index'], { input, accept: [0, 1] });
  for (const path of ignored) await copyEntry(pathOf(source.top, path), pathOf(workspace, path));
  return ignored.length > 0;
}

async function copyEntry(from: Buffer, to: Buffer): Promise<void> {
  const there = await lstat(from);
  await mkdir(Buffer.from(dirname(to.toString('latin1')), 'latin1'), { recursive: true });
  if (there.isSymbolicLink()) await symlink(await readlink(from, 'buffer'), to);
  else if (there.isFile()) await copyFile(from, to, constants.COPYFILE_FICLONE);
}
