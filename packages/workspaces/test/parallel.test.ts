import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorkspaces, type Workspaces } from '../src/index.ts';
import { git, plainEnvironment, repository, scratch, write, type Scratch } from './support/repository.ts';

/** Adds and removes worktrees as fast as it can, and knows nothing of a lock. What it fails at is its own affair. */
const stranger = `n=0; while :; do n=$((n+1)); git worktree add -q --detach "$1/$n" HEAD; git worktree remove --force "$1/$n"; git worktree prune; echo; sleep 0.05; done`;

let directory: Scratch;
let source: string;
beforeAll(() => {
  directory = scratch();
  const files = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`d${n % 7}/f${n}.txt`, `file ${n}\n`]));
  source = repository(join(directory.path, 'repo'), files);
});
afterAll(() => directory[Symbol.dispose]());

test.each(['worktree', 'clone'] as const)(
  'forty %ss at once, while somebody else adds and removes worktrees',
  async (mode) => {
    const config = readFileSync(join(source, '.git', 'config'), 'utf8');
    const other = spawn('sh', ['-c', stranger, 'sh', join(directory.path, 'other')], {
      cwd: source,
      env: plainEnvironment,
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    await once(other.stdout, 'data');
    let rounds = 0;
    other.stdout.on('data', (chunk: Buffer) => (rounds += chunk.length));
    try {
      // Two runs at once, as two commands of a user would be.
      const runs = await Promise.all([openWorkspaces({ repository: source, mode }), openWorkspaces({ repository: source, mode })]);
      const ends = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => oneTask(runs[n % 2]!, n)));
      expect(ends.filter((end) => end.status === 'rejected').map(({ reason }) => String(reason))).toEqual([]);
      await Promise.all(runs.map((workspaces) => workspaces.close()));
    } finally {
      process.kill(-other.pid!, 'SIGKILL');
      await once(other, 'exit');
    }
    expect(rounds).toBeGreaterThan(1);
    expect(readFileSync(join(source, '.git', 'config'), 'utf8')).toBe(config);
    expect(
      git(source, 'worktree', 'list')
        .split('\n')
        .filter((line) => line.includes('.ocm')),
    ).toEqual([]);
    for (const run of readdirSync(`${source}.ocm`)) expect(readdirSync(join(`${source}.ocm`, run))).toEqual(['artifacts']);
  },
  150_000,
);

test('a worktree that somebody takes away while it is made is made again', async () => {
  // Between git's last word and the index that comes behind it.
  const take = '[ -f "$one/HEAD" ] && sleep 0.02 && [ ! -f "$one/index" ] && rm -rf "$one" && exit';
  const thief = spawn('sh', ['-c', `while :; do for one in .git/worktrees/*/; do ${take}; done; done`], {
    cwd: source,
    env: plainEnvironment,
    stdio: 'ignore',
  });
  const ended = once(thief, 'exit');
  await using workspaces = await openWorkspaces({ repository: source, mode: 'worktree' });
  const workspace = await workspaces.acquire('taken');
  // One that got no time to take anything is not waited for.
  thief.kill('SIGKILL');
  await ended;
  write(workspace.path, { 'result.txt': 'kept\n' });
  expect(git(workspace.path, 'status', '--porcelain')).toBe('?? result.txt');
  expect((await workspace.capture())?.filesChanged).toBe(1);
  expect(await workspace.release()).toEqual({ removed: true });
});

/** Every fifth does something; the others are there and go. */
async function oneTask(workspaces: Workspaces, n: number): Promise<void> {
  const workspace = await workspaces.acquire(`task ${n}`);
  if (n % 5 === 0) {
    write(workspace.path, { 'result.txt': `${n}` });
    const capture = await workspace.capture();
    if (capture?.filesChanged !== 1) throw new Error(`${n}: ${capture?.filesChanged} files`);
  }
  const release = await workspace.release();
  if (!release.removed) throw new Error(`${n}: ${release.reason}`);
}
