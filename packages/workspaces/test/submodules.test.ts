import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorkspaces } from '../src/index.ts';
import { git, repository, scratch, shell, write, type Scratch } from './support/repository.ts';
import { expectRoundTrip } from './support/round-trip.ts';

/** A repository with four submodules, of which one has one of its own and one is not checked out. */
function makeSubmodules(directory: string): void {
  repository(join(directory, 'deep'), { 'deep.txt': 'deep\n' });
  for (const name of ['clean', 'dirty', 'ahead', 'empty']) repository(join(directory, name), { [`${name}.txt`]: `${name}\n` });
  git(join(directory, 'dirty'), 'submodule', '-q', 'add', join(directory, 'deep'), 'lib/deep');
  git(join(directory, 'dirty'), 'commit', '-q', '-m', 'deep');
  const source = repository(join(directory, 'repo'));
  for (const name of ['clean', 'dirty', 'ahead', 'empty']) git(source, 'submodule', '-q', 'add', join(directory, name), `modules/${name}`);
  git(source, 'commit', '-q', '-m', 'modules');
  git(source, 'submodule', '-q', 'update', '--init', '--recursive');
  git(source, 'submodule', '-q', 'deinit', '-f', 'modules/empty');
  shell(source, 'rm -rf .git/modules/modules/empty');
}

let fixture: Scratch;
beforeAll(() => {
  fixture = scratch();
  makeSubmodules(fixture.path);
});
afterAll(() => fixture[Symbol.dispose]());

function withSubmodules(directory: string): string {
  cpSync(join(fixture.path, 'repo'), join(directory, 'repo'), { recursive: true, verbatimSymlinks: true });
  return join(directory, 'repo');
}

test.each(['clone', 'worktree', 'copy'] as const)(
  'submodules in a %s: clean, dirty, with a new commit, one below another',
  async (mode) => {
    using directory = scratch();
    const source = withSubmodules(directory.path);
    const notes: string[] = [];
    const workspaces = await openWorkspaces({ repository: source, mode, onNote: ({ code }) => notes.push(code) });
    const workspace = await workspaces.acquire('modules');
    const sub = (name: string) => join(workspace.path, 'modules', name);
    expect(notes).toEqual(mode === 'copy' ? [] : ['submodule_left_empty']);
    expect(git(workspace.path, 'status', '--porcelain')).toBe('');
    // What an agent writes into the configuration of a submodule must not run.
    const ran = join(directory.path, 'ran');
    for (const path of [sub('clean'), sub('dirty')]) {
      shell(path, `git config core.fsmonitor 'touch ${ran}; false'; git config filter.x.clean 'touch ${ran}; cat'`);
    }
    write(sub('dirty'), {
      'dirty.txt': 'changed\n',
      'new.txt': 'new\n',
      'lib/deep/deep.txt': 'deeper\n',
      '.gitattributes': '*.txt filter=x\n',
    });
    write(sub('ahead'), { 'ahead.txt': 'committed\n' });
    git(sub('ahead'), 'commit', '-q', '-a', '-m', 'ahead');
    const ahead = git(sub('ahead'), 'rev-parse', 'HEAD');
    write(workspace.path, { 'readme.txt': 'top\n' });
    const capture = (await workspace.capture())!;
    expect(existsSync(ran)).toBe(false);
    expect(capture.files.map(({ path, mode: kind }) => [path, kind])).toEqual([
      ['modules/ahead', '160000'],
      ['readme.txt', '100644'],
    ]);
    expect(git(source, 'ls-tree', capture.tree, 'modules/ahead')).toContain(ahead);
    expectRoundTrip(source, directory.path, capture);
    expect(capture.submodules.map(({ path, filesChanged }) => [path, filesChanged])).toEqual([
      ['modules/ahead', 1],
      ['modules/dirty', 3],
      ['modules/dirty/lib/deep', 1],
    ]);
    for (const result of capture.submodules) expectRoundTrip(result.repository, directory.path, result);
    expect(await workspace.release()).toEqual({ removed: true });
    // The commit that the result names is in the source's own copy of the submodule, and held.
    const [first] = capture.submodules;
    expect(git(first!.repository, 'rev-parse', `${first!.historyRef}^1`)).toBe(ahead);
    expect(first!.commits).toMatchObject([{ id: ahead, subject: 'ahead' }]);
    await workspaces.close();
    expect(git(source, 'status', '--porcelain')).toBe('');
  },
);

test('what becomes of the place of a submodule is seen', async () => {
  using directory = scratch();
  const source = withSubmodules(directory.path);
  const workspaces = await openWorkspaces({ repository: source });
  const workspace = await workspaces.acquire('places');
  shell(
    workspace.path,
    'cd modules && rm -rf clean ahead && echo a file > ahead && echo mine > empty/mine.txt && rm -rf dirty/.git && echo x > dirty/x',
  );
  const capture = (await workspace.capture())!;
  expect(capture.files.map(({ path, status }) => [status, path])).toEqual([
    ['type_changed', 'modules/ahead'],
    ['deleted', 'modules/clean'],
  ]);
  expectRoundTrip(source, directory.path, capture);
  expect(capture.submodules.map(({ path, files }) => [path, files.map((file) => file.path)])).toEqual([['modules/dirty', ['x']]]);
  expect(capture.leftBehind).toMatchObject([{ path: 'modules/empty', bytes: 5, reason: 'nested_repository' }]);
  expect(await workspace.release({ discardLeftBehind: true })).toEqual({ removed: true });
  await workspaces.close();
});
