import { createHash } from 'node:crypto';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** Most paths that one call of git gets. */
const pathsAtOnce = 200;

/** Reads opencode's own repository of snapshots; it writes nothing there. */
export interface SnapshotRepository {
  /** Files whose content differs between two snapshots, relative to the worktree. */
  changedBetween(before: string, after: string): Promise<string[]>;
  /** Of these files, those that are not in the worktree as they are in the snapshot. */
  changedSince(snapshot: string, files: readonly string[]): Promise<string[]>;
}

/** The repository that holds a snapshot of a worktree; undefined when there is none (any more). */
export async function openSnapshots(stateDir: string, worktree: string, snapshot: string): Promise<SnapshotRepository | undefined> {
  const root = join(stateDir, 'data', 'opencode', 'snapshot');
  for (const project of await readdir(root).catch(() => [])) {
    for (const name of await readdir(join(root, project)).catch(() => [])) {
      const git = gitIn(stateDir, join(root, project, name), worktree);
      if (
        await git(['cat-file', '-e', `${snapshot}^{tree}`]).then(
          () => true,
          () => false,
        )
      )
        return createRepository(git, worktree);
    }
  }
  return undefined;
}

type Git = (arguments_: readonly string[], input?: string) => Promise<string>;

/** Its settings are those of the server: nobody's own configuration, filters or hooks. */
function gitIn(stateDir: string, gitDir: string, worktree: string): Git {
  const env = {
    PATH: process.env['PATH'] ?? '',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(stateDir, 'gitconfig'),
    GIT_ATTR_NOSYSTEM: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
  };
  return async (arguments_, input = '') => {
    const all = ['--git-dir', gitDir, '--work-tree', worktree, '--literal-pathspecs', ...arguments_];
    const { stdout } = await execa('git', all, { cwd: worktree, env, extendEnv: false, input, stripFinalNewline: false });
    return stdout;
  };
}

function createRepository(git: Git, worktree: string): SnapshotRepository {
  return {
    changedBetween: async (before, after) =>
      before === after ? [] : names(await git(['diff-tree', '-r', '-z', '--name-only', before, after])),
    async changedSince(snapshot, files) {
      const changed: string[] = [];
      for (let from = 0; from < files.length; from += pathsAtOnce) {
        const some = files.slice(from, from + pathsAtOnce);
        const then = await blobsOf(git, snapshot, some);
        const now = await Promise.all(some.map((file) => blobNow(git, worktree, file)));
        changed.push(...some.filter((file, index) => then.get(file) !== now[index]));
      }
      return changed;
    },
  };
}

const names = (output: string): string[] => output.split('\0').filter((name) => name !== '');

/** The hash of each file's content in a snapshot; files that it lacks are absent. */
async function blobsOf(git: Git, snapshot: string, files: readonly string[]): Promise<Map<string, string>> {
  const entries = names(await git(['ls-tree', '-r', '-z', snapshot, '--', ...files]));
  // `MODE blob HASH<tab>NAME`
  return new Map(entries.map((entry) => [entry.slice(entry.indexOf('\t') + 1), entry.split(/[ \t]/, 3)[2] ?? '']));
}

/** The hash that git would give the file as it is now; undefined when it is gone or is no file. */
async function blobNow(git: Git, worktree: string, file: string): Promise<string | undefined> {
  const path = join(worktree, file);
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink()) {
    const target = await readlink(path, 'buffer');
    return createHash('sha1').update(`blob ${target.length}\0`).update(target).digest('hex');
  }
  return found?.isFile() ? (await git(['hash-object', '--', file])).trim() : undefined;
}
