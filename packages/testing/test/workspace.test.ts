import { execFile } from 'node:child_process';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { temporaryWorkspace } from '../src/index.ts';

const run = promisify(execFile);

describe('temporaryWorkspace', () => {
  it('is a git repository with the files in one commit', async () => {
    await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'one\n', 'src/deep/b.txt': 'two\n' } });
    const { stdout } = await run('git', ['log', '--format=%H %an %s'], { cwd: workspace.path });
    expect(stdout.trim().split('\n')).toEqual([expect.stringMatching(/^[0-9a-f]{40} Test Start$/)]);
    await expect(workspace.read('src/deep/b.txt')).resolves.toBe('two\n');
    await expect(workspace.changedFiles()).resolves.toEqual([]);
  });

  it('lists what was changed, added and removed', async () => {
    await using workspace = await temporaryWorkspace({ files: { 'a.txt': 'one\n', 'b.txt': 'two\n' } });
    await writeFile(join(workspace.path, 'a.txt'), 'changed\n');
    await writeFile(join(workspace.path, 'näme with space.txt'), 'new\n');
    await run('rm', ['b.txt'], { cwd: workspace.path });
    await expect(workspace.changedFiles()).resolves.toEqual(['a.txt', 'b.txt', 'näme with space.txt']);
  });

  it('makes the same commit every time', async () => {
    await using first = await temporaryWorkspace({ files: { 'a.txt': 'one\n' } });
    await using second = await temporaryWorkspace({ files: { 'a.txt': 'one\n' } });
    const heads = await Promise.all([first, second].map(({ path }) => run('git', ['rev-parse', 'HEAD'], { cwd: path })));
    expect(heads[0]?.stdout).toBe(heads[1]?.stdout);
  });

  it('is removed when it is disposed of', async () => {
    const workspace = await temporaryWorkspace({ git: false });
    await workspace[Symbol.asyncDispose]();
    await workspace.remove();
    await expect(access(workspace.path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('refuses files outside itself', async () => {
    await expect(temporaryWorkspace({ files: { '../escape.txt': '' } })).rejects.toThrow(
      'The path ../escape.txt leads out of the workspace.',
    );
  });
});
