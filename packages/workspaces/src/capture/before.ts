import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { byteString, pathOf, readable, type ByteString } from '../git/bytes.ts';
import { survey, type Survey } from '../create/copy.ts';
import { ignoredEntries } from '../create/setup.ts';
import type { LeaseRecord } from '../keep/ledger.ts';
import { inStore, inTree, type Part, type Run } from '../run.ts';
import { historyMark } from './history.ts';
import { look, stampOf, type Left } from './look.ts';
import { directoryOf, ownedBy } from './stage.ts';

/** What was in a workspace when it was handed out, and in no tree. Plain JSON. */
export interface Before {
  /** As `historyMark` tells. */
  readonly history: string;
  /** By path in the workspace; `/` at the end of directories. */
  readonly stamps: Readonly<Record<ByteString, string>>;
  /** Refs, configuration and hooks of the shared repository, mode `worktree` alone. */
  readonly source: Readonly<Record<string, string>>;
}

/** Files that no tree has, of one part, with the paths that they have in the workspace. */
export async function leftIn(run: Run, part: Part, workspace: string, index: string, left: readonly Left[]): Promise<Left[]> {
  const directory = directoryOf(workspace, part);
  const git = (await inTree(run, part, directory, index)).as('WORKSPACE_CAPTURE_FAILED');
  const ignored = await Promise.all((await ignoredEntries(git)).map((path) => ignoredEntry(directory, path)));
  const prefix = part.path === '' ? '' : `${byteString(part.path)}/`;
  return [...left, ...ignored].map(({ path, bytes, reason, stamp }) => ({ path: `${prefix}${path}`, bytes, reason, stamp }));
}

/** Of a directory no more is looked at than that it is there; its size is asked for when it is new. */
async function ignoredEntry(directory: string, path: ByteString): Promise<Left> {
  if (path.endsWith('/')) return { path, bytes: 0, reason: 'ignored', stamp: 'directory' };
  const there = await lstat(pathOf(directory, path)).catch(() => undefined);
  return { path, bytes: there?.size ?? 0, reason: 'ignored', stamp: there ? stampOf(there) : '' };
}

/** Sizes of directories are asked for late, because only those of new ones are told. */
export async function sized(workspace: string, left: Left): Promise<Left> {
  if (left.stamp !== 'directory') return left;
  const { bytes }: Survey = await survey(join(workspace, readable(left.path)), 50_000);
  return { ...left, bytes };
}

/** Remembers what stands in a workspace that is about to be handed out. A checkout alone leaves nothing to remember. */
export async function beforeState(run: Run, lease: LeaseRecord, parts: readonly Part[], isUntouched: boolean): Promise<Before> {
  const left: Left[] = [];
  for (const part of isUntouched ? [] : parts) {
    const git = (await inTree(run, part, directoryOf(lease.path, part), part.index)).as('WORKSPACE_CREATE_FAILED');
    const found = await look(run, git, part, directoryOf(lease.path, part), ownedBy(part, parts));
    left.push(...(await leftIn(run, part, lease.path, part.index, found.left)));
  }
  const source = lease.mode === 'worktree' ? await sourceState(run) : {};
  return { stamps: Object.fromEntries(left.map(({ path, stamp }) => [path, stamp])), source, history: await historyMark(parts) };
}

/** What an agent in a worktree can change in the user's repository. */
export async function sourceState(run: Run): Promise<Record<string, string>> {
  const { gitDir } = run.store;
  const git = await inStore(run, run.store);
  const refs = (await git.text(['for-each-ref', '--format=%(objectname) %(refname)'])).split('\n').filter((line) => line !== '');
  const named = refs.map((line) => [line.slice(line.indexOf(' ') + 1), line.slice(0, line.indexOf(' '))] as const);
  const hooks = await readdir(join(gitDir, 'hooks')).catch(() => []);
  const files = ['config', 'info/exclude', 'info/attributes', ...hooks.map((name) => `hooks/${name}`)];
  const contents = await Promise.all(files.map(async (name) => [name, await digest(join(gitDir, name))] as const));
  return Object.fromEntries([...named.filter(([name]) => !name.startsWith('refs/ocm/')), ...contents]);
}

export function changedKeys(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).toSorted();
}

async function digest(path: string): Promise<string> {
  return readFile(path).then(
    (content) => createHash('sha256').update(content).digest('hex'),
    () => '',
  );
}
