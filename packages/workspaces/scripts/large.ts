// Times one task in a repository of many files: node --conditions=@opencode-manager/source scripts/large.ts [FILES]
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { openWorkspaces } from '../src/index.ts';
import { git, repository, scratch, write } from '../test/support/repository.ts';

const count = Number(process.argv[2] ?? 60_000);
using directory = scratch();
const files = Object.fromEntries(Array.from({ length: count }, (_, n) => [`d${n % 97}/e${n % 31}/f${n}.txt`, `file ${n}\n`.repeat(20)]));
const source = repository(join(directory.path, 'repo'), files);
for (const mode of ['clone', 'worktree', 'copy'] as const) {
  const times: Record<string, number> = {};
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    times[name] = Math.round(performance.now() - start);
    return result;
  };
  const workspaces = await timed('open', () => openWorkspaces({ repository: source, mode }));
  const workspace = await timed('acquire', () => workspaces.acquire('large'));
  write(workspace.path, { 'd1/e1/new.txt': 'new\n', 'd0/e0/f0.txt': 'changed\n' });
  const capture = (await timed('capture', () => workspace.capture()))!;
  const release = await timed('release', () => workspace.release());
  await timed('close', () => workspaces.close());
  console.log(mode, times, { files: capture.filesChanged, ...release });
}
const start = performance.now();
git(source, 'worktree', 'add', '-q', '--detach', join(directory.path, 'bare'));
console.log('git worktree add', Math.round(performance.now() - start));
execFileSync('rm', ['-rf', directory.path]);
