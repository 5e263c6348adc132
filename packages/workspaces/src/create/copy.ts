import { constants, type Dirent } from 'node:fs';
import { copyFile, lstat, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { failure } from '../errors.ts';
import type { Run } from '../run.ts';

/** How large a tree is, and where it has `.git` files, which lead out of it. */
export interface Survey {
  readonly bytes: number;
  readonly entries: number;
  /** Of the files, in milliseconds; 0 without any. */
  readonly newestMs: number;
  /** Directories below which `.git` is a file. */
  readonly gitFiles: readonly string[];
}

/** Looks through a tree without following links. It stops counting at `limit` entries: the sizes are at least those then. */
export async function survey(directory: string, limit = Infinity): Promise<Survey> {
  let [bytes, entries, newestMs] = [0, 0, 0];
  const gitFiles: string[] = [];
  const waiting = [directory];
  for (let at = waiting.pop(); at !== undefined && entries < limit; at = waiting.pop()) {
    const here = await readdir(at, { withFileTypes: true }).catch((): Dirent[] => []);
    const files = await Promise.all(
      here.filter((entry) => entry.isFile()).map((entry) => lstat(join(at, entry.name)).catch(() => undefined)),
    );
    for (const file of files) {
      bytes += file?.size ?? 0;
      newestMs = Math.max(newestMs, file?.mtimeMs ?? 0);
    }
    entries += here.length;
    if (here.some((entry) => entry.name === '.git' && !entry.isDirectory())) gitFiles.push(at);
    waiting.push(...here.filter((entry) => entry.isDirectory()).map((entry) => join(at, entry.name)));
  }
  return { bytes, entries, newestMs, gitFiles };
}

/** @throws `WORKSPACE_TOO_LARGE` */
export async function refuseTooLarge(run: Run): Promise<Survey> {
  const seen = await survey(run.top);
  const { bytes } = seen;
  if (bytes <= run.limits.copyBytes || (await sharesBlocks(run.root))) return seen;
  const message = `${run.top} holds ${bytes} bytes, and each copy of it as many; the limit is ${run.limits.copyBytes}. Raise limits.copyBytes (ocm run: --yes) or use another mode.`;
  throw failure('WORKSPACE_TOO_LARGE', message, { bytes });
}

/**
 * Copies all of the source into the workspace; gives the directories of it whose `.git` is a file.
 * @throws `WORKSPACE_TOO_LARGE`, `WORKSPACE_CREATE_FAILED`
 */
export async function copySource(run: Run, workspace: string): Promise<readonly string[]> {
  const { gitFiles } = await refuseTooLarge(run);
  await copyTree(run, join(run.top, '.'), workspace);
  return gitFiles.map((path) => join(workspace, path.slice(run.top.length)));
}

/**
 * Copies a directory's content, or an entry, as it is; blocks are shared where the file system can. What its owner removes meanwhile, as
 * every git does with its temporary files, is not there.
 */
export async function copyTree(run: Run, from: string, to: string): Promise<void> {
  const source = from.endsWith('/.') || (await lstat(from)).isDirectory() ? `${from}/.` : from;
  const args = process.platform === 'linux' ? ['-a', '--reflink=auto'] : ['-a'];
  const env = { ...run.tools, LC_ALL: 'C' };
  const { failed, stderr, shortMessage } = await execa('cp', [...args, '--', source, to], {
    cwd: run.root,
    env,
    extendEnv: false,
    reject: false,
  });
  const onlyVanished = stderr !== '' && stderr.split('\n').every((line) => line.endsWith('No such file or directory'));
  if (failed && !(onlyVanished && (await isDirectory(to)))) {
    throw failure('WORKSPACE_CREATE_FAILED', `cp could not copy ${from}: ${stderr || shortMessage}`);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true;
}

/** Whether a copy costs nothing on the file system of a directory. */
async function sharesBlocks(directory: string): Promise<boolean> {
  const [from, to] = [join(directory, 'reflink-probe'), join(directory, 'reflink-probe-copy')];
  try {
    await writeFile(from, 'probe');
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    await Promise.all([from, to].map((path) => rm(path, { force: true })));
  }
}
