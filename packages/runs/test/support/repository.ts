import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { taskHash, type NewRunOptions, type TaskLine } from '../../src/index.ts';

/** A repository without a commit, and a directory `src` in it. */
export function repository(path: string): string {
  mkdirSync(join(path, 'src'), { recursive: true });
  execFileSync('git', ['init', '-q', path], { stdio: 'ignore' });
  return path;
}

export const facts: NewRunOptions['facts'] = {
  source: '/srv/tasks.jsonl',
  argv: ['ocm', 'run', 'tasks.jsonl'],
  configuration: { concurrency: 4 },
  configuration_digest: 'sha256:0',
  versions: { manager: '1.0.0', opencode: '1.18.4', protocol: 'v1', node: process.version },
  git: { head: '1'.repeat(40), dirty: false },
  base_commits: { HEAD: '1'.repeat(40) },
};

export function taskLine(key: string, generation = 1): TaskLine {
  const task = { prompt: `Task ${key}` };
  const identity = taskHash({ task, workspace: { mode: 'shared', path: '/work' }, configuration: 'sha256:0' });
  return { generation, key, ...identity, source: { file: '/srv/tasks.jsonl', line: 1 }, task };
}
