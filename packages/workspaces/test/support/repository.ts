import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const settings = {
  'user.name': 'Test',
  'user.email': 'test@example.invalid',
  'protocol.file.allow': 'always',
  'init.defaultBranch': 'main',
  'advice.detachedHead': 'false',
};

/** The environment of a git of a user or an agent: nothing of this machine counts. */
export const plainEnvironment: Record<string, string> = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  LC_ALL: 'C.UTF-8',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_COUNT: String(Object.keys(settings).length),
  ...Object.fromEntries(
    Object.entries(settings).flatMap(([key, value], n) => [
      [`GIT_CONFIG_KEY_${n}`, key],
      [`GIT_CONFIG_VALUE_${n}`, value],
    ]),
  ),
};

/** Runs git as a user or an agent would, and gives what it printed. */
export function git(directory: string, ...args: string[]): string {
  return execFileSync('git', args, {
    cwd: directory,
    env: plainEnvironment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trimEnd();
}

/** Runs a shell line as an agent would. */
export function shell(directory: string, line: string): string {
  return execFileSync('sh', ['-ec', line], {
    cwd: directory,
    env: plainEnvironment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trimEnd();
}

export type Files = Readonly<Record<string, string | Buffer>>;

export function write(directory: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

export interface Scratch extends Disposable {
  readonly path: string;
}

/** A private directory that goes at the end of the test. */
export function scratch(): Scratch {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'ocm-places-')));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** A repository with one commit. */
export function repository(directory: string, files: Files = { 'readme.txt': 'Hello.\n', 'src/a.txt': 'a\n' }): string {
  mkdirSync(directory, { recursive: true });
  git(directory, 'init', '-q');
  write(directory, files);
  git(directory, 'add', '-A');
  git(directory, 'commit', '-q', '-m', 'Start');
  return directory;
}
