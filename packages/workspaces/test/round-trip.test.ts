import { chmodSync, symlinkSync, rmSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWorkspaces, type Capture } from '../src/index.ts';
import { git, repository, scratch, shell, write } from './support/repository.ts';
import { expectRoundTrip } from './support/round-trip.ts';

const binary = (seed: number) => Buffer.from(Array.from({ length: 4000 }, (_, n) => (n * seed * 31 + (n >> 3)) & 0xff));
const pointer = (oid: string) => `version https://git-lfs.github.com/spec/v1\noid sha256:${oid.repeat(64)}\nsize 12345\n`;

const files = {
  '.gitattributes': '*.crlf text eol=crlf\n*.auto text=auto\n*.big filter=lfs diff=lfs merge=lfs -text\n',
  '.gitignore': 'ignored/\n*.log\n',
  'text.txt': 'one\ntwo\nthree\n',
  'windows.crlf': 'a\r\nb\r\n',
  'some.auto': 'x\ny\n',
  'image.bin': binary(3),
  'script.sh': '#!/bin/sh\n',
  'gone.txt': 'gone\n',
  'moved.txt': 'a text that is long enough to be found again after its move\n'.repeat(5),
  'umlaut-ä.txt': 'ä\n',
  'new\nline.txt': 'a name with a newline\n',
  'asset.big': pointer('a'),
  'directory/file.txt': 'in a directory\n',
  'becomes-directory': 'a file\n',
};

function change(path: string): void {
  write(path, {
    'text.txt': 'one\n2\nthree\nfour\n',
    'windows.crlf': 'a\r\nbb\r\nc\r\n',
    'some.auto': 'x\nz\n',
    'image.bin': binary(5),
    'other.bin': binary(7),
    'umlaut-ä.txt': 'ä ö\n',
    'neu-€.txt': 'euro\n',
    'new\nline.txt': 'changed\n',
    'another\nnew\tline.txt': 'new\n',
    'empty.txt': '',
    'asset.big': pointer('b'),
    'new.big': pointer('c'),
    'ignored/left.txt': 'twelve bytes',
    'run.log': 'log\n',
  });
  // A name that is no UTF-8.
  writeFileSync(Buffer.concat([Buffer.from(`${path}/latin-`), Buffer.from([0xe9])]), 'é in latin1\n');
  chmodSync(join(path, 'script.sh'), 0o755);
  rmSync(join(path, 'gone.txt'));
  shell(path, 'mkdir -p deep/er && mv moved.txt "deep/er/umbenannt-ß.txt"');
  symlinkSync('text.txt', join(path, 'link'));
  symlinkSync('/nowhere/at/all', join(path, 'dangling'));
  // A directory becomes a link to another one, a file a directory.
  shell(path, 'mkdir target && echo t > target/file.txt && rm -r directory && ln -s target directory');
  shell(path, 'rm becomes-directory && mkdir becomes-directory && echo x > becomes-directory/inside.txt');
  // Two nested repositories: one without a commit, one with.
  shell(path, 'git init -q nested-empty && echo n > nested-empty/n.txt');
  shell(path, 'git init -q nested && cd nested && echo n > n.txt && git add . && git commit -q -m nested');
}

test.each(['clone', 'worktree', 'copy'] as const)('what an agent did in a %s comes out of the patch again, byte by byte', async (mode) => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'), files);
  const workspaces = await openWorkspaces({ repository: source, mode });
  const workspace = await workspaces.acquire('everything');
  expect(git(workspace.path, 'status', '--porcelain')).toBe('');
  expect(readFileSync(join(workspace.path, 'windows.crlf'), 'utf8')).toBe('a\r\nb\r\n');
  change(workspace.path);
  git(workspace.path, 'add', 'text.txt');
  const index = readFileSync(git(workspace.path, 'rev-parse', '--path-format=absolute', '--git-path', 'index'));
  const capture = (await workspace.capture())!;
  expectRoundTrip(source, directory.path, capture);
  expect(readFileSync(git(workspace.path, 'rev-parse', '--path-format=absolute', '--git-path', 'index')).equals(index)).toBe(true);
  expect(told(capture)).toEqual(expectedFiles);
  expect(capture.leftBehind.toSorted((a, b) => a.path.localeCompare(b.path))).toMatchObject([
    { path: 'ignored', bytes: 12, reason: 'ignored' },
    { path: 'nested', reason: 'nested_repository' },
    { path: 'nested-empty', reason: 'nested_repository' },
    { path: 'run.log', bytes: 4, reason: 'ignored' },
  ]);
  expect({ ...capture, files: 0 }).toMatchObject({
    truncated: false,
    commits: [],
    historyRef: undefined,
    submodules: [],
    filesChanged: 23,
  });
  // The nested repositories are in no ref.
  expect(await workspace.release()).toEqual({ removed: false, reason: 'left_behind' });
  expect(await workspace.release({ discardLeftBehind: true })).toEqual({ removed: true });
  await workspaces.close();
  expect(git(source, 'rev-parse', `${capture.ref}^{tree}`, `${capture.ref}^1`).split('\n')).toEqual([capture.tree, capture.baseCommit]);
});

function told({ files: changes }: Capture): string[] {
  return changes.map(({ status, mode, from, path }) => `${status} ${mode} ${from === undefined ? '' : `${from} -> `}${path}`).toSorted();
}

const expectedFiles = [
  'added 100644 another\nnew\tline.txt',
  'added 100644 becomes-directory/inside.txt',
  'added 100644 empty.txt',
  'added 100644 latin-\ufffd',
  'added 100644 neu-€.txt',
  'added 100644 new.big',
  'added 100644 other.bin',
  'added 100644 target/file.txt',
  'added 120000 dangling',
  'added 120000 directory',
  'added 120000 link',
  'deleted 000000 becomes-directory',
  'deleted 000000 directory/file.txt',
  'deleted 000000 gone.txt',
  'modified 100644 asset.big',
  'modified 100644 image.bin',
  'modified 100644 new\nline.txt',
  'modified 100644 some.auto',
  'modified 100644 text.txt',
  'modified 100644 umlaut-ä.txt',
  'modified 100644 windows.crlf',
  'modified 100755 script.sh',
  'renamed 100644 moved.txt -> deep/er/umbenannt-ß.txt',
].toSorted();

test('a file that is too large for the object store is told and not put there', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, limits: { fileBytes: 100_000 } });
  const workspace = await workspaces.acquire('dump');
  write(workspace.path, { 'dump.bin': Buffer.alloc(100_001, 1), 'small.txt': 's\n', 'readme.txt': Buffer.alloc(200_000, 2) });
  const capture = (await workspace.capture())!;
  expect(capture.files.map(({ path }) => path)).toEqual(['small.txt']);
  expect(capture.leftBehind).toEqual([
    { path: 'readme.txt', bytes: 200_000, reason: 'too_large' },
    { path: 'dump.bin', bytes: 100_001, reason: 'too_large' },
  ]);
  expectRoundTrip(source, directory.path, capture);
  expect(await workspace.release()).toEqual({ removed: false, reason: 'left_behind' });
  expect(await workspace.release({ discardLeftBehind: true })).toEqual({ removed: true });
  await workspaces.close();
});

test('a patch above its limit stays in the ref', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  const workspaces = await openWorkspaces({ repository: source, limits: { patchBytes: 1000 } });
  const workspace = await workspaces.acquire('large');
  write(workspace.path, { 'large.txt': 'line\n'.repeat(1000) });
  const capture = (await workspace.capture())!;
  expect(capture).toMatchObject({ patch: undefined, truncated: true, filesChanged: 1, insertions: 1000 });
  expect(git(source, 'show', `${capture.ref}:large.txt`)).toBe('line\n'.repeat(1000).trimEnd());
  await workspaces.close();
});

test('a FIFO in the place of a file neither hangs nor gets lost in silence', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  await using workspaces = await openWorkspaces({ repository: source });
  const workspace = await workspaces.acquire('special');
  shell(workspace.path, 'rm readme.txt && mkfifo readme.txt && mkfifo other');
  const capture = (await workspace.capture())!;
  expect(capture.leftBehind).toEqual([{ path: 'readme.txt', bytes: 0, reason: 'special' }]);
  expect(told(capture)).toEqual(['deleted 000000 readme.txt']);
  expectRoundTrip(source, directory.path, capture);
});

test('CRLF that was committed before attributes asked for text is no change of an agent', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'), { 'a.txt': 'a\r\n', 'b.txt': 'b\r\n', 'c.bat': 'c\r\n' });
  shell(source, "printf '*.txt text\\n*.bat text eol=crlf\\n' > .gitattributes; git add .gitattributes; git commit -q -m attributes");
  await using workspaces = await openWorkspaces({ repository: source });
  const idle = await workspaces.acquire('idle');
  expect((await idle.capture())!.files).toEqual([]);
  const workspace = await workspaces.acquire('works');
  shell(workspace.path, "printf 'changed\\r\\n' > b.txt; touch a.txt; echo n > n.md");
  const capture = (await workspace.capture())!;
  expect(told(capture)).toEqual(['added 100644 n.md', 'modified 100644 b.txt']);
});

test('nothing changed, everything deleted, and everything excluded are results too', async () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  await using workspaces = await openWorkspaces({ repository: source });
  const idle = await workspaces.acquire('idle');
  const nothing = (await idle.capture())!;
  expect(nothing).toMatchObject({ filesChanged: 0, insertions: 0, deletions: 0, tree: git(source, 'rev-parse', 'HEAD^{tree}') });
  expectRoundTrip(source, directory.path, nothing);
  const empty = await workspaces.acquire('empty');
  shell(empty.path, 'rm -rf *');
  const deleted = (await empty.capture())!;
  expect(told(deleted)).toEqual(['deleted 000000 readme.txt', 'deleted 000000 src/a.txt']);
  expectRoundTrip(source, directory.path, deleted);
});
