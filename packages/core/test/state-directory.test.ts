import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { launchServer, type ServerConfig } from '@opencode-manager/core';
import { lockStateDirectory } from '../src/isolation/lock.ts';
import { deleteState, markName, protocolOfDatabase, recognise, writeMark } from '../src/isolation/mark.ts';
import { failureOf } from './support/failure.ts';
import { putEarlierState } from './support/earlier-state.ts';
import { privateRoot } from './support/private-root.ts';

let root: Awaited<ReturnType<typeof privateRoot>>;
beforeEach(async () => {
  root = await privateRoot();
  execFileSync('git', ['init', '-q', inside('work')]);
});
afterEach(async () => {
  await root[Symbol.asyncDispose]();
});

const inside = (...path: string[]) => join(root.path, ...path);

async function put(path: string, text = ''): Promise<void> {
  await mkdir(dirname(inside(path)), { recursive: true });
  await writeFile(inside(path), text);
}

const mark = (layout: number, protocol?: string) => JSON.stringify({ product: 'opencode-manager', layout, protocol });

/** Every entry below a place: its mode, and the text or the target of what is no directory. */
async function picture(path: string): Promise<Record<string, string>> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const told = await Promise.all(
    entries.map(async (entry) => {
      const at = join(entry.parentPath, entry.name);
      if (entry.isSymbolicLink()) return [at, `link to ${await readlink(at)}`] as const;
      return [at, `${(await stat(at)).mode.toString(8)} ${entry.isDirectory() ? '' : await readFile(at, 'utf8')}`] as const;
    }),
  );
  return { ...Object.fromEntries(told), [path]: (await stat(path)).mode.toString(8) };
}

/** What stands in the place of a state directory before a start that must refuse it, and how. */
const refused: readonly {
  readonly name: string;
  readonly make: () => Promise<unknown>;
  readonly stateDir?: string;
  readonly code: 'STATE_DIRECTORY_FOREIGN' | 'STATE_DIRECTORY_UNSAFE';
  readonly says: string;
}[] = [
  {
    name: "a project's directory, with a configuration, credentials and a tmp directory of its own",
    make: () =>
      Promise.all(['opencode.json', 'tmp/notes.txt', 'data/opencode/auth.json'].map((file) => put(`state/${file}`, '{"mine": 1}'))),
    code: 'STATE_DIRECTORY_FOREIGN',
    says: 'no manager has marked it',
  },
  {
    name: 'any directory with a file',
    make: () => put('state/thesis.txt', 'all of it'),
    code: 'STATE_DIRECTORY_FOREIGN',
    says: 'it holds thesis.txt',
  },
  {
    name: 'a file with the name of the mark and another content',
    make: () => put(`state/${markName}`, '{"product": "something else"}'),
    code: 'STATE_DIRECTORY_FOREIGN',
    says: 'is not one of ours',
  },
  {
    name: 'a state directory of a later version',
    make: () => put(`state/${markName}`, mark(99)),
    code: 'STATE_DIRECTORY_FOREIGN',
    says: 'a newer version made it (layout 99',
  },
  {
    name: 'a state directory of an opencode of later',
    make: () => put(`state/${markName}`, mark(1, 'v9')),
    code: 'STATE_DIRECTORY_FOREIGN',
    says: 'a newer version made it (protocol "v9")',
  },
  {
    name: 'a state directory with a link in it',
    make: async () => {
      await put(`state/${markName}`, mark(1));
      await symlink('/etc/hosts', inside('state', 'opencode.json'));
    },
    code: 'STATE_DIRECTORY_FOREIGN',
    says: 'opencode.json in it is a link',
  },
  { name: 'a file', make: () => put('state', 'text'), code: 'STATE_DIRECTORY_UNSAFE', says: 'is not a directory' },
  {
    name: 'a link to nothing',
    make: () => symlink(inside('nowhere'), inside('state')),
    code: 'STATE_DIRECTORY_UNSAFE',
    says: 'is a link to nothing',
  },
  { name: 'the workspace', make: () => mkdir(inside('state')), stateDir: 'work', code: 'STATE_DIRECTORY_UNSAFE', says: 'is the workspace' },
  {
    name: 'a place in the workspace',
    make: () => mkdir(inside('state')),
    stateDir: 'work/.state',
    code: 'STATE_DIRECTORY_UNSAFE',
    says: 'lies inside the workspace',
  },
  {
    name: 'a place in the workspace, through a link',
    make: () => symlink(inside('work'), inside('state')),
    stateDir: 'state/deep',
    code: 'STATE_DIRECTORY_UNSAFE',
    says: 'lies inside the workspace',
  },
  {
    name: 'what holds the workspace',
    make: () => mkdir(inside('state')),
    stateDir: '.',
    code: 'STATE_DIRECTORY_UNSAFE',
    says: 'holds the',
  },
];

describe('a state directory that is refused stays as it was', () => {
  test.each(refused)('$name', async ({ make, stateDir = 'state', code, says }) => {
    await make();
    const before = await picture(root.path);
    for (const deleteStateOnExit of [false, true]) {
      const error = await failureOf(launchServer({ directory: inside('work'), stateDir: inside(stateDir), deleteStateOnExit }));
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(says)]);
      expect(await picture(root.path)).toEqual(before);
    }
  });
});

describe('a state directory with a database belongs to one generation of opencode', () => {
  const start = async (version: string) => {
    await put('bin/opencode', `#!/bin/sh\n[ "$1" = --version ] && echo ${version} && exit\nexit 7\n`);
    await chmod(inside('bin', 'opencode'), 0o755);
    return { directory: inside('work'), stateDir: inside('state'), binary: inside('bin', 'opencode'), opencodeConfig: { model: 'a/b' } };
  };
  const database = () => put('state/data/opencode/opencode.db', 'sessions');
  const closed = () => chmod(inside('state'), 0o755);

  test.each([
    ['2.x on one of 1.x', mark(1, 'v1'), '2.0.15', 'database of opencode 1.x; opencode 2.0.15 (', 'would convert it, with no way back'],
    ['2.x on one that does not say, of 1.x', mark(1), '2.0.15', 'database of opencode 1.x', 'or an opencode 1.x'],
    ['1.x on one of 2.x', mark(1, 'v2'), '1.18.33', 'database of opencode 2.x; opencode 1.18.33 (', 'cannot read it'],
  ])('a start of %s is refused, and changes nothing', async (_, text, version, ...says) => {
    await put(`state/${markName}`, text);
    await database();
    const config = await start(version);
    await closed();
    const before = await picture(root.path);
    for (const deleteStateOnExit of [false, true]) {
      const error = await failureOf(launchServer({ ...config, deleteStateOnExit }));
      expect(error.code).toBe('STATE_DIRECTORY_PROTOCOL');
      for (const said of says) expect(error.message).toContain(said);
      expect(await picture(root.path)).toEqual(before);
    }
  });

  test('without one it is taken by the other, which marks it', async () => {
    await put(`state/${markName}`, mark(1));
    const error = await failureOf(launchServer(await start('2.0.15')));
    expect(error.code).toBe('SERVER_START_FAILED');
    expect(JSON.parse(await readFile(inside('state', markName), 'utf8'))).toEqual({
      product: 'opencode-manager',
      layout: 1,
      protocol: 'v2',
    });
    expect(await protocolOfDatabase(inside('state'))).toBeUndefined();
    await database();
    expect(await protocolOfDatabase(inside('state'))).toBe('v2');
    expect((await failureOf(launchServer(await start('1.18.33')))).code).toBe('STATE_DIRECTORY_PROTOCOL');
  });
});

describe('a state directory that is taken', () => {
  const start = (config: ServerConfig) =>
    launchServer({ directory: inside('work'), opencodeConfig: { model: 'scripted/model' }, ...config });

  test('one of an earlier version, which has no mark, is known; a start marks it (launch.test.ts)', async () => {
    await putEarlierState(inside('state'));
    expect(await recognise(inside('state'))).toBe('ours');
  });

  test('an empty one goes with a server that shall leave nothing, a failed start included', async () => {
    const binary = inside('bin', 'opencode');
    await put('bin/opencode', '#!/bin/sh\n[ "$1" = --version ] && echo 1.18.33 && exit\nexit 7\n');
    await chmod(binary, 0o755);
    await mkdir(inside('state'));
    const error = await failureOf(start({ stateDir: inside('state'), deleteStateOnExit: true, binary }));
    expect(error.code).toBe('SERVER_START_FAILED');
    await expect(stat(inside('state'))).rejects.toThrow('ENOENT');
  });
});

test('of twelve managers that come at once upon the lock of a dead one, one gets it', async () => {
  for (let round = 0; round < 10; round += 1) {
    await put('state/manager.lock', JSON.stringify({ pid: process.pid, startTime: 'another', runId: 'dead' }));
    const attempts = await Promise.allSettled(
      Array.from({ length: 12 }, async (_, index) => {
        const lock = await lockStateDirectory(inside('state', 'manager.lock'), `run-${index}`);
        await lock.retake();
        return lock;
      }),
    );
    const holders = attempts.filter((attempt) => attempt.status === 'fulfilled').map(({ value }) => value);
    const refusals = attempts.filter((attempt) => attempt.status === 'rejected').map(({ reason }) => (reason as { code: string }).code);
    expect([holders.length, new Set(refusals)]).toEqual([1, new Set(['STATE_DIRECTORY_LOCKED'])]);
    await holders[0]!.release();
    expect(await readdir(inside('state'))).toEqual([]);
  }
});

describe('what is deleted', () => {
  test('a directory with the mark, whatever stands in it; the target of a link in it stays', async () => {
    await put('outside/file.txt', 'mine');
    await put('state/deep/er/file.txt', '');
    await writeMark(inside('state'), 'v1');
    await symlink(inside('outside'), inside('state', 'link'));
    expect(await deleteState(inside('state'))).toBe(true);
    await expect(stat(inside('state'))).rejects.toThrow('ENOENT');
    expect(await readFile(inside('outside', 'file.txt'), 'utf8')).toBe('mine');
  });

  test('nothing that lacks it, and nothing where there is nothing', async () => {
    await put('state/file.txt', 'mine');
    expect(await deleteState(inside('state'))).toBe(false);
    expect(await readFile(inside('state', 'file.txt'), 'utf8')).toBe('mine');
    expect(await deleteState(inside('nowhere'))).toBe(false);
  });
});
