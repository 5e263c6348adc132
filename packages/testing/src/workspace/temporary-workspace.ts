import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, relative } from 'node:path';

import { changedFiles, commitAll } from './git.ts';

export interface TemporaryWorkspaceOptions {
  /** Content by path below the workspace. */
  readonly files?: Readonly<Record<string, string>>;
  /** Make it a git repository with one commit that holds the files. Default: true. */
  readonly git?: boolean;
}

/** A directory to let an agent work in. @public */
export interface TemporaryWorkspace extends AsyncDisposable {
  /** Absolute, with symbolic links resolved: opencode reports real paths. */
  readonly path: string;
  /**
   * Paths that differ from the first commit, new files included, sorted. Rejects when the workspace is not a git
   * repository.
   */
  changedFiles(): Promise<string[]>;
  /** The text of a file of the workspace. */
  read(file: string): Promise<string>;
  /** Removes the directory, and what lies beside it: the directories of its runs. Idempotent. */
  remove(): Promise<void>;
}

/**
 * Makes a fresh directory below the system's temporary directory, by default a git repository with an initial commit. It lies in a
 * directory of its own, for this user alone: what is made beside a repository has its place there.
 * Nothing of the user's own git configuration is read, and the commit's id is the same everywhere.
 *
 * @example
 * await using workspace = await temporaryWorkspace({ files: { 'README.md': '# Demo\n' } })
 * await session.prompt('Add a licence', { directory: workspace.path })
 * console.log(await workspace.changedFiles()) // ['LICENSE']
 * @throws `RangeError` for a file path that leads out of the workspace; git's own error when git is not installed.
 * @public
 */
export async function temporaryWorkspace({ files = {}, git = true }: TemporaryWorkspaceOptions = {}): Promise<TemporaryWorkspace> {
  const place = await realpath(await mkdtemp(join(tmpdir(), 'opencode-manager-workspace-')));
  const path = join(place, 'repository');
  // git and tools that still end may write while the tree is removed.
  const remove = () => rm(place, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  try {
    await mkdir(path);
    for (const [file, content] of Object.entries(files)) await writeInside(path, file, content);
    if (git) await commitAll(path);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    path,
    changedFiles: () => changedFiles(path),
    read: (file) => readFile(inside(path, file), 'utf8'),
    remove,
    [Symbol.asyncDispose]: remove,
  };
}

async function writeInside(root: string, file: string, content: string): Promise<void> {
  const path = inside(root, file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

function inside(root: string, file: string): string {
  const path = join(root, file);
  if (isAbsolute(file) || relative(root, path).startsWith('..')) throw new RangeError(`The path ${file} leads out of the workspace.`);
  return path;
}
