import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Identity and switches by flag, so that no configuration of the machine or the user counts. */
const neutral = [
  ['user.name', 'Test'],
  ['user.email', 'test@example.invalid'],
  ['commit.gpgsign', 'false'],
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
].flatMap(([key, value]) => ['-c', `${key}=${value}`]);

const environment = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  // The same commit id on every machine and day.
  GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
  GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
};

/** Runs git in a directory and gives what it printed. Variables such as GIT_DIR of the caller's own shell do not count. */
async function git(directory: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', [...neutral, ...args], {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', ...environment },
  });
  return stdout;
}

/** Makes a repository of a directory and commits what is in it. */
export async function commitAll(directory: string): Promise<void> {
  await git(directory, 'init', '--quiet', '--initial-branch=main', '--template=');
  await git(directory, 'add', '--all');
  await git(directory, 'commit', '--quiet', '--allow-empty', '--message=Start');
}

/** Paths that differ from the last commit, new ones included, sorted. */
export async function changedFiles(directory: string): Promise<string[]> {
  const status = await git(directory, 'status', '--porcelain=v1', '-z', '--no-renames', '--untracked-files=all');
  const entries = status.split('\0').filter((entry) => entry !== '');
  return entries.map((entry) => entry.slice(3)).toSorted();
}
