import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWorkspaces } from '../src/index.ts';
import { repository, scratch, shell, write } from './support/repository.ts';

const files = { '.gitignore': 'node_modules/\n.env*\n!.env.example\nbuild/\n', 'package-lock.json': '{}\n', '.env.example': 'KEY=\n' };

test('ignored files that .worktreeinclude or include name are copied, and nothing else', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'), { ...files, '.worktreeinclude': '.env\n*.secret\nnotes.txt\n' });
  write(source, {
    '.env': 'KEY=1\n',
    '.env.local': 'KEY=2\n',
    'notes.txt': 'not ignored\n',
    'build/x.secret': 's\n',
    'build/other': 'o\n',
    'node_modules/a/.env': 'deep\n',
  });
  shell(source, 'ln -s .env .env.link');
  await using workspaces = await openWorkspaces({ repository: source, include: ['.env.link'] });
  const workspace = await workspaces.acquire('include');
  expect(shell(workspace.path, 'find . -path ./.git -prune -o ! -type d -print | sort').split('\n')).toEqual(
    [
      './.env',
      './.env.example',
      './.env.link',
      './.gitignore',
      './.worktreeinclude',
      './build/x.secret',
      './node_modules/a/.env',
      './package-lock.json',
    ].toSorted(),
  );
  expect(lstatSync(join(workspace.path, '.env.link')).isSymbolicLink()).toBe(true);
  // What was there is not left behind, unless it changed.
  write(workspace.path, { '.env': 'KEY=3\n', 'node_modules/b.js': 'b\n' });
  expect((await workspace.capture())!.leftBehind).toEqual([{ path: '.env', bytes: 6, reason: 'ignored' }]);
});

test('what the base does not ignore, or keeps behind a link, is not copied: it would stand in the patch, or elsewhere', async () => {
  using directory = scratch();
  const outside = join(directory.path, 'outside');
  const source = repository(join(directory.path, 'repo'), { 'old.env': 'OLD\n', '.gitignore': 'deep/\n' });
  shell(source, `mkdir ${outside}; ln -s ${outside} conf; git add conf; git commit -q -m conf`);
  // The user's tree goes its own way, and nothing of it is committed.
  shell(
    source,
    'git rm -q --cached old.env conf; rm conf; mkdir conf deep; for d in . conf deep; do echo SECRET > $d/.env; done; echo SECRET > old.env',
  );
  write(source, { '.gitignore': '*.env\ndeep/\n', '.worktreeinclude': '*.env\n' });
  const notes: string[] = [];
  await using workspaces = await openWorkspaces({ repository: source, onNote: ({ message }) => notes.push(message) });
  const workspace = await workspaces.acquire('include');
  await workspaces.acquire('another');
  expect(notes).toHaveLength(1);
  expect(notes.join()).toMatch(/would stand in the patch: \.env, conf\/\.env, old\.env\. Commit a \.gitignore/);
  expect(readdirSync(outside)).toEqual([]);
  expect(readFileSync(join(workspace.path, 'deep', '.env'), 'utf8')).toBe('SECRET\n');
  expect(await workspace.capture()).toMatchObject({ filesChanged: 0, leftBehind: [] });
});

test('a setup runs once for each set of lock files, and its product is given to the others', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'), files);
  const count = join(directory.path, 'count');
  const command = `echo "$OCM_TASK_ID $OCM_SLOT $OCM_PORT_BASE" >> ${count}; mkdir -p node_modules/dep build; echo made > node_modules/dep/index.js; ln -s dep/index.js node_modules/link; echo said`;
  const options = { repository: source, setup: { command }, ready: { command: 'test -e node_modules/link' } };
  const workspaces = await openWorkspaces(options);
  const all = await Promise.all(['a', 'b', 'c', 'd'].map((key) => workspaces.acquire(key)));
  for (const { path } of all) expect(readFileSync(join(path, 'node_modules', 'link'), 'utf8')).toBe('made\n');
  expect(readFileSync(count, 'utf8').trim().split('\n')).toHaveLength(1);
  expect(readFileSync(count, 'utf8')).toMatch(/^[abcd] \d \d{5}\n$/);
  // No workspace writes into the template or into another one.
  write(all[0]!.path, { 'node_modules/dep/index.js': 'changed\n' });
  expect(readFileSync(join((await workspaces.acquire('e')).path, 'node_modules', 'dep', 'index.js'), 'utf8')).toBe('made\n');
  expect((await all[1]!.capture())!.leftBehind).toEqual([]);
  await workspaces.close();
  write(source, { 'package-lock.json': '{ "changed": true }\n' });
  shell(source, 'git commit -q -a -m lock');
  const next = await openWorkspaces(options);
  await next.acquire('f');
  await next.close();
  expect(readFileSync(count, 'utf8').trim().split('\n')).toHaveLength(2);
});

test('what holds the path of its workspace, or changes files of the base, makes no template', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'), files);
  for (const [line, codes] of [
    ['pwd > node_modules/pyvenv.cfg', ['setup_not_kept']],
    ['echo x > package-lock.json', ['setup_changed_files']],
  ] as const) {
    const notes: string[] = [];
    const count = join(directory.path, `count-${codes[0]}`);
    const command = `echo run >> ${count}; mkdir -p node_modules; ${line}`;
    await using workspaces = await openWorkspaces({ repository: source, setup: { command }, onNote: ({ code }) => notes.push(code) });
    await workspaces.acquire('a');
    expect(notes).toEqual(codes);
    await workspaces.acquire('b');
    expect(readFileSync(count, 'utf8')).toBe('run\nrun\n');
  }
});

test('a setup or a readiness that fails, hangs or is aborted ends with its log, and leaves nothing', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'), files);
  const fails = async (options: object, signal?: AbortSignal) => {
    await using workspaces = await openWorkspaces({ repository: source, ...options });
    const error = await workspaces.acquire('fails', signal ? { signal } : {}).then(
      () => undefined,
      (thrown: { code: string; details: { tail: string; log: string } }) => thrown,
    );
    expect(readdirSync(join(workspaces.root!, 'workspaces'))).toEqual([]);
    expect(readFileSync(error!.details.log, 'utf8')).toContain(error!.details.tail);
    return [error!.code, error!.details.tail];
  };
  expect(await fails({ setup: { command: 'echo out; echo err >&2; exit 3' } })).toEqual(['WORKSPACE_SETUP_FAILED', 'out\nerr\n']);
  expect(await fails({ setup: { command: 'true' }, ready: { command: 'echo not yet; false' } })).toEqual([
    'WORKSPACE_NOT_READY',
    'not yet\n',
  ]);
  const pid = join(directory.path, 'pid');
  expect(await fails({ setup: { command: `sleep 60 & echo $! > ${pid}; wait`, timeoutMs: 700 } })).toEqual(['WORKSPACE_SETUP_FAILED', '']);
  // Where nobody waits for it, what is left of it is a zombie.
  expect(shell(directory.path, `ps -o stat= -p $(cat ${pid}) || true`)).toMatch(/^(Z|$)/);
  expect(await fails({ setup: { command: 'sleep 60' } }, AbortSignal.timeout(500))).toEqual(['WORKSPACE_SETUP_FAILED', '']);
});
