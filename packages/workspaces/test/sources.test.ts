import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWorkspaces, type WorkspacesOptions } from '../src/index.ts';
import { git, repository, scratch, shell, write } from './support/repository.ts';
import { expectRoundTrip } from './support/round-trip.ts';

/** Everything of a repository that is the user's. */
function ofTheUser(source: string): unknown {
  return {
    config: readFileSync(join(source, '.git', 'config'), 'utf8'),
    index: readFileSync(join(source, '.git', 'index')).toString('base64'),
    head: readFileSync(join(source, '.git', 'HEAD'), 'utf8'),
    refs: git(source, 'for-each-ref', '--format=%(refname) %(objectname)')
      .split('\n')
      .filter((line) => !line.startsWith('refs/ocm/')),
    stash: git(source, 'stash', 'list'),
    status: git(source, 'status', '--porcelain', '--ignored'),
    worktrees: git(source, 'worktree', 'list'),
    hooks: readdirSync(join(source, '.git', 'hooks')),
    logs: shell(source, 'find .git/logs -type f | sort | xargs cat'),
  };
}

async function oneTask(options: WorkspacesOptions, base?: string) {
  const workspaces = await openWorkspaces(options);
  const workspace = await workspaces.acquire('task', base ?? 'HEAD');
  const status = git(workspace.path, 'status', '--porcelain');
  write(workspace.path, { 'readme.txt': 'changed\n', 'new.txt': 'new\n' });
  git(workspace.path, 'add', 'readme.txt');
  git(workspace.path, 'commit', '-q', '-m', 'by the agent');
  const capture = (await workspace.capture())!;
  const { directory } = workspace;
  expect(await workspace.release()).toEqual({ removed: true });
  await workspaces.close();
  return { capture, status, directory };
}

test.each(['clone', 'worktree', 'copy'] as const)(
  "a %s changes none of the user's configuration, refs, stash, index and files",
  async (mode) => {
    using directory = scratch();
    const source = repository(join(directory.path, 'repo'));
    shell(
      source,
      'git branch other; git tag -m t v1; echo s > readme.txt; git stash -q; echo staged > src/a.txt; git add .; echo dirty >> src/a.txt; echo u > untracked',
    );
    shell(
      source,
      'mkdir -p .git/hooks; echo "exit 1" > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout; git config core.hooksPath .git/hooks',
    );
    const before = ofTheUser(source);
    const { capture, status } = await oneTask({ repository: source, mode });
    expect(ofTheUser(source)).toEqual(before);
    expect(capture.files.map(({ path }) => path)).toEqual(['new.txt', 'readme.txt']);
    expectRoundTrip(source, directory.path, capture);
    // A copy is exactly the user's tree, with what is staged and what is not.
    expect(status).toBe(mode === 'copy' ? 'MM src/a.txt\n?? untracked' : '');
    if (mode === 'copy')
      expect(git(source, 'show', `${capture.baseCommit}:src/a.txt`, `${capture.baseCommit}:untracked`)).toBe('staged\ndirty\nu');
    expect(git(source, 'for-each-ref', '--format=%(refname)', 'refs/ocm').split('\n')).toEqual([capture.ref, capture.historyRef]);
    expect(readdirSync(directory.path).filter((name) => !name.startsWith('clean'))).toEqual(['repo', 'repo.ocm']);
    expect(readdirSync(join(directory.path, 'repo.ocm', readdirSync(join(directory.path, 'repo.ocm'))[0]!))).toEqual(['artifacts']);
  },
);

test('a clone has the branches of the source and stands on the one that was named; its own changes move none of the source', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  shell(
    source,
    'git checkout -q -b feature/a; echo f > f.txt; git add .; git commit -q -m feature; git checkout -q main; git config user.name Local',
  );
  await using workspaces = await openWorkspaces({ repository: join(source, 'src') });
  const workspace = await workspaces.acquire('on feature', 'feature/a');
  expect(workspace.directory).toBe(join(workspace.path, 'src'));
  expect(git(workspace.path, 'branch', '--show-current')).toBe('feature/a');
  expect(git(workspace.path, 'branch', '--format=%(refname:short)').split('\n')).toEqual(['feature/a', 'main']);
  expect(git(workspace.path, 'config', 'user.name')).toBe('Test');
  expect(readFileSync(join(workspace.path, '.git', 'config'), 'utf8')).toContain('name = "Local"');
  const detached = await workspaces.acquire('on a commit', git(source, 'rev-parse', 'main'));
  expect(git(detached.path, 'branch', '--show-current')).toBe('');
  expect(await workspaces.acquire('x', 'no-such-branch').catch(({ code }) => code)).toBe('WORKSPACE_SOURCE_INVALID');
});

test.each(['clone', 'worktree'] as const)('a bare repository, a shallow clone and a linked worktree are sources of a %s', async (mode) => {
  using directory = scratch();
  const origin = repository(join(directory.path, 'origin'));
  for (const n of [1, 2, 3]) shell(origin, `echo ${n} > n.txt; git add .; git commit -q -m ${n}`);
  git(directory.path, 'clone', '-q', '--bare', origin, 'bare.git');
  git(directory.path, 'clone', '-q', '--depth=1', `file://${origin}`, 'shallow');
  git(origin, 'worktree', 'add', '-q', '-b', 'linked', join(directory.path, 'linked'), 'HEAD~1');
  for (const name of ['bare.git', 'shallow', 'linked']) {
    const source = join(directory.path, name);
    const { capture, status } = await oneTask({ repository: source, mode });
    expect(status).toBe('');
    expect(capture.baseCommit).toBe(git(source, 'rev-parse', 'HEAD'));
    expect(capture.commits.map(({ subject }) => subject)).toEqual(['by the agent']);
    expectRoundTrip(name === 'linked' ? origin : source, directory.path, capture);
    expect(git(source, 'worktree', 'list').split('\n')).toHaveLength(name === 'linked' ? 2 : 1);
    expect(existsSync(`${source}.ocm`)).toBe(true);
  }
});

test('a copy of a linked worktree has a repository of its own, and shows no way to the worktrees of the user', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  git(source, 'worktree', 'add', '-q', '-b', 'linked', join(directory.path, 'linked'));
  const linked = join(directory.path, 'linked');
  shell(linked, 'echo staged > readme.txt; git add .');
  const index = readFileSync(join(source, '.git', 'worktrees', 'linked', 'index'));
  const workspaces = await openWorkspaces({ repository: linked, mode: 'copy' });
  const workspace = await workspaces.acquire('copy');
  expect(git(workspace.path, 'status', '--porcelain', '--branch')).toBe('## linked\nM  readme.txt');
  shell(workspace.path, 'echo agent > src/a.txt; git add .; git commit -q -m agent');
  expect((await workspace.capture())!.files.map(({ path }) => path)).toEqual(['src/a.txt']);
  expect(readFileSync(join(source, '.git', 'worktrees', 'linked', 'index')).equals(index)).toBe(true);
  await workspaces.close();
  const main = await openWorkspaces({ repository: source, mode: 'copy' });
  const other = await main.acquire('copy');
  expect(git(other.path, 'worktree', 'list').split('\n')).toHaveLength(1);
  await main.close();
});

test.each([
  ['core.worktree', 'git config core.worktree "$PWD"'],
  [
    'links',
    'mv .git ../store; mkdir .git; for f in ../store/*; do ln -s "$(realpath $f)" .git/; done; rm .git/HEAD .git/index; cp ../store/HEAD ../store/index .git/',
  ],
  ['a split index', 'git worktree add -q ../linked; cd ../linked; git update-index --split-index', 'linked'],
])('a copy of a repository with %s is no way back to it', async (_, line, name = 'repo') => {
  using directory = scratch();
  shell(repository(join(directory.path, 'repo')), `git branch other; ${line}`);
  const source = join(directory.path, name);
  const before = [git(source, 'for-each-ref'), git(source, 'config', '--list')];
  const workspaces = await openWorkspaces({ repository: source, mode: 'copy' });
  const workspace = await workspaces.acquire('copy');
  expect(git(workspace.path, 'status', '--porcelain')).toBe('');
  shell(workspace.path, 'echo agent > readme.txt; git add .; git commit -q -m agent; git config user.nobody yes; git checkout -q other');
  expect((await workspace.capture())!.commits).toEqual([]);
  expect(await workspace.release()).toEqual({ removed: true });
  await workspaces.close();
  expect(readFileSync(join(source, 'readme.txt'), 'utf8')).toBe('Hello.\n');
  expect([
    git(source, 'for-each-ref')
      .split('\n')
      .filter((ref) => !ref.includes('refs/ocm/'))
      .join('\n'),
    git(source, 'config', '--list'),
  ]).toEqual(before);
});

test('a copy of a repository without a commit has its files, and the commits of the agent are its first ones', async () => {
  using directory = scratch();
  const source = join(directory.path, 'new');
  write(source, { 'readme.txt': 'new\n' });
  shell(source, 'git init -q -b main; git add readme.txt');
  const { capture, status } = await oneTask({ repository: source, mode: 'copy' });
  expect(status).toBe('A  readme.txt');
  expect(capture.files.map(({ path }) => path)).toEqual(['new.txt', 'readme.txt']);
  expect(capture.commits.map(({ subject }) => subject)).toEqual(['by the agent']);
  expectRoundTrip(source, directory.path, capture);
  expect(git(source, 'status', '--porcelain')).toBe('A  readme.txt');
});

test('a broken ref of the user stops nothing, and a repository that several people share stays writable for all', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  write(source, { '.git/refs/heads/broken': `${'1'.repeat(40)}\n` });
  shell(source, 'git config core.sharedRepository group; find .git -type d -exec chmod g+ws {} +');
  const { capture } = await oneTask({ repository: source });
  expect(capture.leftBehind).toEqual([]);
  expect(capture.commits.map(({ subject }) => subject)).toEqual(['by the agent']);
  expect(shell(source, 'find .git/objects .git/refs -type d ! -perm -g+w')).toBe('');
});

test('a directory outside git is copied, and its results stand in a repository of the run', async () => {
  using directory = scratch();
  const source = join(directory.path, 'plain');
  write(source, { 'a.txt': 'a\n', 'sub/b.txt': 'b\n', '.gitignore': '*.log\n', 'old.log': 'log\n' });
  const before = statSync(source).mtimeMs;
  const { capture, status } = await oneTask({ repository: source });
  expect(status).toBe('');
  expect(capture.files.map(({ path }) => path)).toEqual(['new.txt', 'readme.txt']);
  expect(capture.leftBehind).toEqual([]);
  expect(git(capture.repository, 'rev-parse', `${capture.ref}^{tree}`)).toBe(capture.tree);
  expectRoundTrip(capture.repository, directory.path, capture);
  expect([statSync(source).mtimeMs, existsSync(join(source, '.git'))]).toEqual([before, false]);
  const refused = async (options: Partial<WorkspacesOptions>) => {
    await using workspaces = await openWorkspaces({ repository: source, ...options });
    await workspaces.acquire('x');
  };
  await expect(refused({ mode: 'clone' })).rejects.toMatchObject({ code: 'WORKSPACE_SOURCE_INVALID' });
  await expect(refused({ limits: { copyBytes: 3 } })).rejects.toMatchObject({ code: 'WORKSPACE_TOO_LARGE' });
});

test('what cannot be a source or a root is refused before anything is made', async () => {
  using directory = scratch();
  const empty = join(directory.path, 'empty');
  mkdirSync(empty);
  git(empty, 'init', '-q');
  const source = repository(join(directory.path, 'repo'));
  const codeOf = (options: WorkspacesOptions) =>
    openWorkspaces(options).then(
      async (workspaces) => {
        const code = await workspaces.acquire('x').then(
          () => 'none',
          (error: { code: string }) => error.code,
        );
        await workspaces.close();
        return code;
      },
      ({ code }: { code: string }) => code,
    );
  expect(await codeOf({ repository: empty })).toBe('WORKSPACE_SOURCE_INVALID');
  expect(await codeOf({ repository: join(directory.path, 'nowhere') })).toBe('WORKSPACE_SOURCE_INVALID');
  expect(await codeOf({ repository: join(source, '.git') })).toBe('WORKSPACE_SOURCE_INVALID');
  expect(await codeOf({ repository: repository(join(directory.path, 'two\nlines')) })).toBe('WORKSPACE_SOURCE_INVALID');
  rmSync(join(directory.path, 'two\nlines'), { recursive: true });
  expect(await codeOf({ repository: source, root: join(source, 'inside') })).toBe('WORKSPACE_ROOT_UNSAFE');
  expect(await codeOf({ repository: source, root: directory.path })).toBe('WORKSPACE_ROOT_UNSAFE');
  expect(await codeOf({ repository: source, run: 'a..b' })).toBe('CONFIG_INVALID');
  expect(await codeOf({ repository: source, mode: 'none' as 'clone' })).toBe('CONFIG_INVALID');
  shell(directory.path, 'mkdir open; chmod 0777 open');
  const exposed = repository(join(directory.path, 'open', 'repo'));
  expect(await codeOf({ repository: exposed })).toBe('WORKSPACE_ROOT_UNSAFE');
  expect(await codeOf({ repository: exposed, root: join(directory.path, 'named') })).toBe('none');
  const below = join('open', 'below', 'run');
  expect(await codeOf({ repository: source, root: join(directory.path, below) })).toBe('WORKSPACE_ROOT_UNSAFE');
  expect(await codeOf({ repository: source, root: join(directory.path, 'open') })).toBe('WORKSPACE_ROOT_UNSAFE');
  // As /tmp is: what is made there is its owner's.
  shell(directory.path, 'chmod 1777 open');
  expect(await codeOf({ repository: source, root: join(directory.path, below) })).toBe('none');
  writeFileSync(join(directory.path, 'file'), '');
  expect(await codeOf({ repository: source, root: join(directory.path, 'file', 'x') })).toBe('WORKSPACE_ROOT_UNSAFE');
  expect(readdirSync(directory.path).toSorted()).toEqual(['empty', 'file', 'open', 'repo']);
});

test('in mode shared everybody works in the source, and one note says so', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const notes: string[] = [];
  await using workspaces = await openWorkspaces({
    repository: join(source, 'src'),
    mode: 'shared',
    onNote: ({ code }) => notes.push(code),
  });
  const places = [await workspaces.acquire('a'), await workspaces.acquire('b'), await workspaces.acquire('c')];
  expect(places.map(({ path, directory: at, slot }) => [path, at, slot])).toEqual([0, 1, 2].map((n) => [source, join(source, 'src'), n]));
  expect(notes).toEqual(['several_in_shared']);
  expect(await places[0]!.capture()).toBe(undefined);
  for (const place of places) expect(await place.release()).toEqual({ removed: false });
  expect(readdirSync(directory.path)).toEqual(['repo']);
});
