import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createProjectReader } from '../src/isolation/workspace/git-root.ts';
import { adopt, judge, type Seen, type Trusted } from '../src/isolation/workspace/judge.ts';
import { unsafeParents } from '../src/isolation/workspace/parents.ts';
import { hostilePlace } from './support/hostile-place.ts';
import { privateRoot } from './support/private-root.ts';

const terms = { trustsAll: false, acceptsChanges: false, given: [] };

function seen(
  over: Partial<Seen> & { readonly entries?: Readonly<Record<string, string>>; readonly plugins?: readonly string[] } = {},
): Seen {
  const { entries = {}, plugins = [], ...rest } = over;
  const survey = { entries: new Map(Object.entries(entries)), plugins, references: [], unreadable: [], notes: [], truncated: false };
  const places = new Map([['/r/w', survey]]);
  return { directory: '/r/w', project: { root: '/r', insideGit: true }, places, aboveRoot: [], unsafeParents: [], ...rest };
}

function trustedAfter(...all: readonly Seen[]): Trusted {
  const trusted: Trusted = { roots: new Map(), places: new Map() };
  for (const one of all) adopt(trusted, one);
  return trusted;
}

test('a repository that begins nearer is no change, one that begins further away is', () => {
  const outside = seen({ project: { root: '/', insideGit: false } });
  const nearer = seen({ project: { root: '/r/w', insideGit: true } });
  expect(judge(trustedAfter(outside), nearer, terms)).toEqual({ kind: 'trusted' });
  expect(judge(trustedAfter(outside, nearer), outside, terms)).toEqual({
    kind: 'changed',
    changes: ['its repository was /r/w and is / now'],
  });
});

test('what is new, changed or gone is told; where there was too much to look at, what is missing tells nothing', () => {
  const before = seen({ entries: { a: '1', b: '1', c: '1' } });
  const after = seen({ entries: { a: '1', b: '2', d: '1' } });
  const changes = ['b has changed', 'c is gone', 'd is new'];
  expect(judge(trustedAfter(before), after, terms)).toEqual({ kind: 'changed', changes });
  expect(judge(trustedAfter(before), after, { ...terms, acceptsChanges: true, given: [] })).toEqual({ kind: 'accepted', changes });
  const partly = seen({ places: new Map([['/r/w', { ...after.places.get('/r/w')!, truncated: true }]]) });
  expect(judge(trustedAfter(before), partly, terms)).toEqual({ kind: 'changed', changes: ['b has changed'] });
});

test('a workspace that is used later does not accept what was written above it meanwhile', () => {
  const above = (print: string) => seen({ entries: { '/r/w/opencode.json': print } }).places;
  const below = seen({ directory: '/r/w/sub', places: above('2') });
  expect(judge(trustedAfter(seen({ places: above('1') })), below, terms).kind).toBe('changed');
});

test('who trusts all is told changes and runs plugins, and is kept from what others put above', () => {
  const all = { ...terms, trustsAll: true };
  const parent = { path: '/tmp', why: 'can be written by everybody' };
  const plugin = seen({ plugins: ['/r/w/.opencode/plugin/x.js'] });
  expect(judge(trustedAfter(), plugin, terms).kind).toBe('untrusted');
  expect(judge(trustedAfter(), plugin, all)).toEqual({ kind: 'trusted' });
  const empty = seen({ unsafeParents: [parent] });
  expect(judge(trustedAfter(), empty, terms)).toEqual({ kind: 'exposed', parent });
  expect(judge(trustedAfter(), empty, all)).toEqual({ kind: 'trusted' });
  const planted = seen({ unsafeParents: [parent], places: new Map([['/tmp', seen({ entries: { x: '1' } }).places.get('/r/w')!]]) });
  expect(judge(trustedAfter(), planted, all)).toEqual({ kind: 'exposed', parent });
});

test('who trusts all of a repository does not trust what runs code above it, unless it was handed over by name', () => {
  const all = { ...terms, trustsAll: true };
  const above = (what: Parameters<typeof seen>[0]) => seen({ aboveRoot: [seen(what).places.get('/r/w')!] });
  expect(judge(trustedAfter(), above({ plugins: ['/.opencode/plugin/x.js'] }), all)).toEqual({
    kind: 'surrounded',
    by: '/.opencode/plugin/x.js',
  });
  const configured = above({ entries: { '/opencode.json': '1' } });
  expect(judge(trustedAfter(), configured, all)).toEqual({ kind: 'surrounded', by: '/opencode.json' });
  expect(judge(trustedAfter(), configured, { ...all, given: ['/opencode.json'] })).toEqual({ kind: 'trusted' });
  expect(judge(trustedAfter(), above({ entries: { '/.opencode/bin/opencode': '1', '/.opencode': 'directory' } }), all)).toEqual({
    kind: 'trusted',
  });
  // What changes there is no change of the workspace.
  expect(judge(trustedAfter(above({})), above({ entries: { '/.opencode/x': '1' } }), all)).toEqual({ kind: 'trusted' });
});

test('git is asked once a directory, and again when a .git on the way or what it says has changed', async () => {
  await using root = await privateRoot();
  const place = hostilePlace(root.path);
  await place.repository('r');
  await place.directory('r/sub');
  const environment = vi.fn(() => ({ PATH: process.env['PATH'], GIT_CONFIG_GLOBAL: '/dev/null' }));
  const read = createProjectReader(environment);
  const rootOf = async () => (await read(place.at('r/sub'))).root;

  expect([await rootOf(), await rootOf()]).toEqual([place.at('r'), place.at('r')]);
  await place.file('r/sub/file', 'x');
  await rootOf();
  expect(environment).toHaveBeenCalledTimes(1);

  await mkdir(place.at('r/sub/.git'));
  expect(await rootOf()).toBe(place.at('r'));
  await rm(place.at('r/sub/.git'), { recursive: true });
  await writeFile(place.at('r/sub/.git'), 'garbage');
  expect(await rootOf()).toBe('/');
  await rm(place.at('r/sub/.git'));
  await place.repository('r/sub');
  expect(await rootOf()).toBe(place.at('r/sub'));
  await place.git('r/sub', 'config', 'core.worktree', place.at('r'));
  expect(await rootOf()).toBe(place.at('r'));
  await rm(place.at('r/sub/.git/refs'), { recursive: true });
  expect(await rootOf()).toBe(place.at('r'));
  await rm(place.at('r/.git/HEAD'));
  expect(await rootOf()).toBe('/');
});

test('a linked worktree is a repository of its own', async () => {
  await using root = await privateRoot();
  const place = hostilePlace(root.path);
  await place.repository('main');
  await place.git('main', '-c', 'user.name=x', '-c', 'user.email=x@example.invalid', 'commit', '--quiet', '--allow-empty', '-m', 'x');
  await place.git('main', 'worktree', 'add', '--quiet', '../linked');
  const read = createProjectReader(() => ({ PATH: process.env['PATH'], GIT_CONFIG_GLOBAL: '/dev/null' }));
  expect(await read(place.at('linked'))).toEqual({ root: place.at('linked'), insideGit: true });
});

test('parents are safe when nobody else can write into them', async () => {
  await using root = await privateRoot();
  const paths = (await unsafeParents(join(root.path, 'w'))).map(({ path }) => path);
  expect(paths).not.toContain(root.path);
  expect((await unsafeParents('/tmp/x')).map(({ path, why }) => [path, why])).toEqual([['/tmp', 'can be written by everybody']]);
  // What is root's is safe for everybody.
  if (process.getuid?.() === 0) await chown(root.path, 65_534, 65_534);
  expect((await unsafeParents(join(root.path, 'w'), 4_000_000)).map(({ path }) => path)).toContain(root.path);
});
