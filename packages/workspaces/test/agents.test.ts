import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWorkspaces, type Capture } from '../src/index.ts';
import { git, repository, scratch, shell, write } from './support/repository.ts';
import { expectRoundTrip } from './support/round-trip.ts';

const isolated = ['clone', 'worktree', 'copy'] as const;

/** The commits that the history of a capture holds, by subject. */
function heldSubjects(source: string, { historyRef, baseCommit }: Capture): string[] {
  return git(source, 'log', '--format=%s', `${historyRef}^@`, `^${baseCommit}`, '--').split('\n').toSorted();
}

test.each(isolated)('an agent in a %s that committed, amended, rebased, switched branch and stashed loses nothing', async (mode) => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, mode });
  const workspace = await workspaces.acquire('history');
  shell(
    workspace.path,
    `git checkout -q -b feature
     echo 1 > one.txt && git add . && git commit -q -m one
     git checkout -q -b topic HEAD~1
     echo 2 > two.txt && git add . && git commit -q -m two-first
     echo 22 > two.txt && git commit -q -a --amend -m two
     git rebase -q feature
     echo stash > src/a.txt && git stash -q
     echo again > readme.txt && git stash -q
     git checkout -q --detach
     echo 3 > three.txt && git add . && git commit -q -m three
     echo loose >> three.txt`,
  );
  const capture = (await workspace.capture())!;
  expectRoundTrip(source, directory.path, capture);
  expect(capture.files.map(({ path }) => path)).toEqual(['one.txt', 'three.txt', 'two.txt']);
  expect(capture.commits.map(({ subject }) => subject)).toEqual(['three', 'two', 'one']);
  const stashes = git(workspace.path, 'stash', 'list', '--format=%H').split('\n');
  expect(await workspace.release()).toEqual({ removed: true });
  await workspaces.close();
  if (mode === 'worktree') {
    // Branches and stashes are the user's own there, and stay. That they appeared is told.
    expect(capture.sourceChanges).toEqual(['refs/heads/feature', 'refs/heads/topic', 'refs/stash']);
    expect(git(source, 'stash', 'list', '--format=%H').split('\n')).toEqual(stashes);
    expect(heldSubjects(source, capture)).toEqual(['one', 'three', 'two', 'two', 'two-first']);
    return;
  }
  const held = heldSubjects(source, capture);
  expect(held).toEqual(expect.arrayContaining(['one', 'three', 'two', 'two-first']));
  for (const stash of stashes) expect(git(source, 'merge-base', '--is-ancestor', stash, capture.historyRef!)).toBe('');
  expect(git(source, 'stash', 'list')).toBe('');
  expect(git(source, 'fsck', '--strict', '--no-dangling')).toBe('');
});

test.each(isolated)('filters, hooks and programs that an agent writes into its repository in a %s do not run', async (mode) => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const ran = join(directory.path, 'ran');
  process.env['OCM_TEST_SECRET'] = 'a secret of the manager';
  try {
    const workspaces = await openWorkspaces({ repository: source, mode });
    const workspace = await workspaces.acquire('traps');
    shell(
      workspace.path,
      `trap='env >> ${ran}; cat'
       git config filter.x.clean "$trap"; git config filter.x.smudge "$trap"; git config filter.x.process "env >> ${ran}"
       git config core.fsmonitor "env >> ${ran}; false"; git config diff.external "env >> ${ran}"; git config diff.x.textconv "$trap"
       git config core.sshCommand "env >> ${ran}"; git config gpg.program "env >> ${ran}"; git config commit.gpgSign true; git config log.showSignature true
       git config core.alternateRefsCommand "env >> ${ran}"; git config core.pager "env >> ${ran}"; git config core.worktree /
       hooks=$(git --work-tree=. rev-parse --path-format=absolute --git-common-dir)/hooks; mkdir -p $hooks
       for hook in post-checkout post-index-change reference-transaction pre-commit post-commit pre-auto-gc post-rewrite; do
         printf '#!/bin/sh\\nenv >> ${ran}\\n' > $hooks/$hook; chmod +x $hooks/$hook; done
       git config core.hooksPath $hooks
       printf '* filter=x diff=x\\n' > .gitattributes; echo changed > src/a.txt; echo new > new.txt`,
    );
    const capture = (await workspace.capture())!;
    expect(capture.files.map(({ path }) => path)).toEqual(['.gitattributes', 'new.txt', 'src/a.txt']);
    expect(readFileSync(capture.patch!, 'utf8')).toContain('+changed');
    expect(existsSync(ran)).toBe(false);
    // The traps do work for a git that is not careful.
    shell(workspace.path, 'git --work-tree=. add src/a.txt || true');
    expect(readFileSync(ran, 'utf8')).toContain('PATH=');
    rmSync(ran);
    expect(await workspace.release()).toEqual({ removed: true });
    // Later workspaces are made from a repository that an agent of a worktree has written to.
    const next = await workspaces.acquire('next');
    expect(readFileSync(join(next.path, 'readme.txt'), 'utf8')).toBe('Hello.\n');
    await workspaces.close();
    expect(existsSync(ran) ? readFileSync(ran, 'utf8') : 'nothing ran').toBe('nothing ran');
    if (mode === 'worktree') expect(capture.sourceChanges).toEqual(expect.arrayContaining(['config', 'hooks/post-checkout']));
  } finally {
    delete process.env['OCM_TEST_SECRET'];
  }
});

test('filters of the user run, with the environment of tools and not with that of this process', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'), { '.gitattributes': '*.up filter=up\n', 'a.up': 'lower\n' });
  const seen = join(directory.path, 'seen');
  write(directory.path, {
    'user.gitconfig': `[filter "up"]\n\tsmudge = tr a-z A-Z\n\tclean = "env >> ${seen}; tr A-Z a-z"\n`,
  });
  const before = { ...process.env };
  Object.assign(process.env, {
    GIT_CONFIG_GLOBAL: join(directory.path, 'user.gitconfig'),
    GIT_CONFIG_NOSYSTEM: '1',
    OCM_TEST_SECRET: 'secret',
  });
  try {
    const workspaces = await openWorkspaces({ repository: source, environment: { PATH: process.env['PATH']!, TOOLS_ONLY: 'yes' } });
    const workspace = await workspaces.acquire('filters');
    expect(readFileSync(join(workspace.path, 'a.up'), 'utf8')).toBe('LOWER\n');
    write(workspace.path, { 'b.up': 'LOUD\n' });
    const capture = (await workspace.capture())!;
    expect(git(source, 'show', `${capture.tree}:b.up`)).toBe('loud');
    expect(capture.files.map(({ path }) => path)).toEqual(['b.up']);
    await workspaces.close();
    expect(readFileSync(seen, 'utf8')).toContain('TOOLS_ONLY=yes');
    expect(readFileSync(seen, 'utf8')).not.toContain('OCM_TEST_SECRET');
  } finally {
    for (const name of ['GIT_CONFIG_GLOBAL', 'GIT_CONFIG_NOSYSTEM', 'OCM_TEST_SECRET']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

test.each(isolated)('an agent in a %s that deleted .git, or lied about its index, changes nothing about its result', async (mode) => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, mode });
  const liar = await workspaces.acquire('liar');
  shell(
    liar.path,
    `git update-index --assume-unchanged readme.txt; git update-index --skip-worktree src/a.txt
     echo changed > readme.txt; echo changed > src/a.txt; git update-index --index-version 4
     echo '*' > "$(git rev-parse --git-path info/exclude)"; echo hidden > hidden.txt`,
  );
  const lied = (await liar.capture())!;
  expect(lied.files.map(({ path }) => path)).toEqual(['hidden.txt', 'readme.txt', 'src/a.txt']);
  const deleter = await workspaces.acquire('deleter');
  shell(deleter.path, 'rm -rf .git; echo changed > readme.txt; echo new > new.txt');
  const deleted = (await deleter.capture())!;
  expectRoundTrip(source, directory.path, deleted);
  expect(deleted).toMatchObject({ commits: [], historyRef: undefined });
  expect(deleted.files.map(({ path }) => path)).toEqual(['new.txt', 'readme.txt']);
  const broken = await workspaces.acquire('broken');
  shell(broken.path, 'echo new > new.txt; dir=$(git rev-parse --git-dir); echo garbage > $dir/HEAD; echo garbage > $dir/index');
  if (mode !== 'worktree') shell(broken.path, 'echo "[broken" > .git/config; rm -rf .git/objects; echo garbage > .git/packed-refs');
  expect((await broken.capture())!.files.map(({ path }) => path)).toEqual(['new.txt']);
  const own = await workspaces.acquire('own');
  shell(own.path, 'rm -rf .git; git init -q; git add .; git commit -q -m mine; echo more > more.txt');
  const mine = (await own.capture())!;
  expect(mine.files.map(({ path }) => path)).toEqual(['more.txt']);
  expectRoundTrip(source, directory.path, mine);
  for (const workspace of [liar, deleter, broken, own]) expect(await workspace.release()).toEqual({ removed: true });
  await workspaces.close();
  expect(git(source, 'worktree', 'list').split('\n')).toHaveLength(1);
  expect(readdirSync(directory.path).filter((name) => !name.startsWith('clean-'))).toEqual(['repo', 'repo.ocm']);
});

test('a large file in the history keeps the workspace, and one in a push to the source is refused', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  git(source, 'remote', 'add', 'origin', 'https://user:password@example.invalid/repo.git');
  const workspaces = await openWorkspaces({ repository: source, limits: { fileBytes: 10_000 } });
  const workspace = await workspaces.acquire('large');
  expect(git(workspace.path, 'remote', 'get-url', 'origin')).toBe('https://example.invalid/repo.git');
  expect(() => git(workspace.path, 'push', source, 'HEAD:refs/heads/pushed')).toThrow(/refused-by-opencode-manager/);
  shell(workspace.path, 'head -c 20000 /dev/zero > dump; git add .; git commit -q -m dump; git rm -q dump; git commit -q -m gone');
  const objects = git(source, 'count-objects', '-v');
  const capture = (await workspace.capture())!;
  expect(capture).toMatchObject({ filesChanged: 0, historyRef: undefined, leftBehind: [{ path: '.git', bytes: 0, reason: 'history' }] });
  expect(capture.commits.map(({ subject }) => subject)).toEqual(['gone', 'dump']);
  expect(git(source, 'count-objects', '-v').split('\n')[0]).toBe(
    objects.split('\n')[0]!.replace(/\d+/, (count) => String(Number(count) + 1)),
  );
  expect(await workspace.release()).toEqual({ removed: false, reason: 'left_behind' });
  expect(await workspace.release({ discardLeftBehind: true })).toEqual({ removed: true });
  await workspaces.close();
});

test.each(isolated)(
  'a repository that an agent in a %s makes in a directory of the base is told, and its files stand in the patch',
  async (mode) => {
    using directory = scratch();
    const source = repository(join(directory.path, 'repo'), { 'packages/one/a.txt': 'a\n' });
    await using workspaces = await openWorkspaces({ repository: source, mode });
    const workspace = await workspaces.acquire('inner');
    shell(workspace.path, 'cd packages/one; git init -q; git add .; git commit -q -m inner; echo b > a.txt; echo n > n.txt');
    const capture = (await workspace.capture())!;
    expect(capture.files.map(({ path }) => path)).toEqual(['packages/one/a.txt', 'packages/one/n.txt']);
    expectRoundTrip(source, directory.path, capture);
    expect(capture.leftBehind).toEqual([{ path: 'packages/one/.git', bytes: expect.any(Number) as number, reason: 'nested_repository' }]);
    expect(await workspace.release()).toEqual({ removed: false, reason: 'left_behind' });
    expect(await workspace.release({ discardLeftBehind: true })).toEqual({ removed: true });
  },
);
