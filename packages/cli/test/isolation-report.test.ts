import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  defaultLimits,
  differences,
  filesOpenForWriting,
  fingerprintDirectories,
  isInside,
  placesInEnvironment,
  placesOutside,
  startIsolationWatch,
  userOpencodeDirectories,
} from '../src/isolation-report/index.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cli-isolation-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test("the user's directories are those of the variables and of the defaults", () => {
  expect(userOpencodeDirectories({ XDG_DATA_HOME: '/data' }, '/home/me')).toEqual([
    '/home/me/.config/opencode',
    '/data/opencode',
    '/home/me/.local/share/opencode',
    '/home/me/.local/state/opencode',
    '/home/me/.cache/opencode',
    '/home/me/.opencode',
  ]);
});

describe('fingerprints', () => {
  async function changedBy(change: (directory: string) => Promise<unknown>, limits = defaultLimits) {
    const directory = join(root, 'opencode');
    await mkdir(join(directory, 'sub'), { recursive: true });
    await writeFile(join(directory, 'config.json'), '{"a":1}');
    await writeFile(join(directory, 'sub', 'log'), 'line\n');
    const places = [directory, join(root, 'missing')];
    const before = await fingerprintDirectories(places, limits);
    await change(directory);
    return differences(before, await fingerprintDirectories(places, limits));
  }

  test('of an untouched tree are equal', async () => {
    expect(await changedBy(async () => undefined)).toEqual([]);
  });

  test('see new, changed, gone and renamed entries', async () => {
    const inTree = (...names: string[]) => join(root, 'opencode', ...names);
    expect(await changedBy((directory) => writeFile(join(directory, 'new'), ''))).toEqual([inTree('new')]);
    await rm(inTree('new'));
    expect(await changedBy((directory) => rm(join(directory, 'sub', 'log')))).toEqual([inTree('sub', 'log')]);
    expect(await changedBy((directory) => rename(join(directory, 'config.json'), join(directory, 'other.json')))).toEqual([
      inTree('config.json'),
      inTree('other.json'),
    ]);
    expect(await changedBy(() => mkdir(join(root, 'missing')))).toEqual([join(root, 'missing')]);
  });

  test('see a change of content that keeps size and time', async () => {
    const time = new Date('2026-01-01T00:00:00Z');
    const changed = await changedBy(async (directory) => {
      await writeFile(join(directory, 'config.json'), '{"a":2}');
      await utimes(join(directory, 'config.json'), time, time);
    });
    expect(changed).toEqual([join(root, 'opencode', 'config.json')]);
  });

  test('do not follow links', async () => {
    const outside = join(root, 'outside');
    await writeFile(outside, 'one');
    const directory = join(root, 'linked');
    await mkdir(directory);
    await symlink(outside, join(directory, 'link'));
    const before = await fingerprintDirectories([directory]);
    await writeFile(outside, 'another text');
    expect(differences(before, await fingerprintDirectories([directory]))).toEqual([]);
  });

  test('stay within their limits and say so', async () => {
    for (const name of ['a', 'b', 'c']) await writeFile(join(root, name), 'text');
    expect(await fingerprintDirectories([root], { maxEntries: 2, maxHashedBytes: 100 })).toMatchObject({ truncated: true });
    expect(await fingerprintDirectories([root], { maxEntries: 100, maxHashedBytes: 5 })).toMatchObject({
      truncated: false,
      hashedBytes: 4,
    });
  });
});

describe.runIf(process.platform === 'linux')('a process', () => {
  async function start(env: Record<string, string>, file: string) {
    const child = spawn('/bin/sh', ['-c', `exec 5>>"${file}"; echo ready; read -r _`], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    const stop = async () => {
      child.stdin.end('\n');
      await once(child, 'exit');
    };
    return { pid: child.pid!, [Symbol.asyncDispose]: stop };
  }

  test('shows where its variables lead and what it has open for writing', async () => {
    await using child = await start({ HOME: join(root, 'home'), TMPDIR: '/elsewhere', SECRET: 'x' }, join(root, 'file'));
    const places = (await placesInEnvironment(child.pid))!;
    expect(Object.fromEntries(places)).toEqual({ HOME: join(root, 'home'), TMPDIR: '/elsewhere' });
    expect(placesOutside(places, root, { complete: false })).toEqual(['TMPDIR=/elsewhere']);
    expect(placesOutside(places, root, { complete: true })).toContain('XDG_DATA_HOME=(not set)');
    expect(await filesOpenForWriting(child.pid)).toEqual([join(root, 'file')]);
  });

  test('that leaves its place is reported, with what it left behind', async () => {
    const watch = await startIsolationWatch([join(root, 'user')]);
    const runId = `test-${process.pid}-${Date.now()}`;
    const server = { runId, stateDir: join(root, 'state'), directory: join(root, 'work') };
    await mkdir(server.stateDir);
    let pid = 0;
    {
      await using child = await start({ HOME: '/somewhere', OPENCODE_MANAGER_RUN_ID: runId }, join(root, 'user'));
      pid = child.pid;
      await watch.inspect({ ...server, pid });
      const checks = await watch.finish({ ...server, pid });
      expect(checks.map(({ name, status }) => [name, status])).toEqual([
        ['user-directories', 'unknown'],
        ['environment', 'failed'],
        ['open-files', 'failed'],
        ['processes', 'failed'],
        ['state', 'failed'],
      ]);
      expect(checks[0]!.detail).toContain(`another process has files open there (${pid})`);
    }
    await rm(server.stateDir, { recursive: true });
    await vi.waitFor(async () => {
      const checks = await watch.finish({ ...server, pid });
      expect(checks.map(({ name, status }) => [name, status])).toEqual([
        ['user-directories', 'failed'],
        ['environment', 'failed'],
        ['open-files', 'failed'],
        ['processes', 'ok'],
        ['state', 'ok'],
      ]);
    });
  });
});

test('inside means below, not beside', () => {
  expect([isInside('/a/b', '/a'), isInside('/a', '/a'), isInside('/ab', '/a'), isInside(undefined, '/a')]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
