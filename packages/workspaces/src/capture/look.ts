import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { access, constants, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { survey } from '../create/copy.ts';
import { entriesOf, pathOf, readable, type ByteString } from '../git/bytes.ts';
import type { Git } from '../git/git.ts';
import type { Part, Run } from '../run.ts';
import type { LeftBehind } from '../types.ts';

/** Something that is not put into a tree. */
export interface Left {
  readonly path: ByteString;
  readonly bytes: number;
  readonly reason: LeftBehind['reason'];
  /** Differs when the thing does. */
  readonly stamp: string;
}

/** What `git add` would find in a tree of files, looked at before it. */
export interface Look {
  /** Paths that differ from the index, or are new. */
  readonly changed: readonly ByteString[];
  /** Paths whose bytes are those of the index, though git would store others today: nobody has changed them. */
  readonly same: readonly ByteString[];
  readonly left: readonly Left[];
  /** Of what is left, files that the index has and that are no files any more. */
  readonly special: readonly ByteString[];
}

/**
 * Sizes are read before `add`: a dump of 80 MB would lie in the user's object store before anybody could refuse it. A nested repository
 * without a commit makes `add` fail altogether, and one with a commit becomes a submodule that nobody can fetch: both are left.
 */
export async function look(run: Run, git: Git, part: Part, directory: string, owned: ReadonlySet<string>): Promise<Look> {
  const [{ tracked, same }, untracked] = await Promise.all([
    trackedChanges(git, directory),
    git.run(['ls-files', '-z', '--others', '--exclude-standard']),
  ]);
  const left: Left[] = closedIn(untracked.stderr);
  const special: ByteString[] = [];
  const changed = [...tracked, ...entriesOf(untracked.stdout)];
  for (const path of changed) {
    const found = path.endsWith('/') ? await nested(directory, path) : await fileLeft(run, directory, path);
    if (found) left.push(found);
    if (found?.reason === 'special') special.push(path);
  }
  left.push(...(await strangersInGitlinks(part, directory, owned)), ...(await repositoriesInTree(git, directory)));
  return { changed, same, left, special };
}

/** Directories that may not be read: git passes over them, and says so. */
function closedIn(said: ByteString): Left[] {
  const paths = Array.from(said.matchAll(/^warning: could not open directory '(.+?)\/?': /gm), ([, path = '']) => path);
  return paths.map((path) => ({ path, bytes: 0, reason: 'unreadable', stamp: 'closed' }));
}

/**
 * What the attributes of a base would convert (CRLF that was committed before `text` was asked for) differs from the index whenever git looks
 * at the content, which it does with files as old as the index. That is no change of an agent's, and no patch of it would apply.
 */
async function trackedChanges(git: Git, directory: string): Promise<{ tracked: ByteString[]; same: ByteString[] }> {
  const entries = await git.list(['diff-files', '-z', '--raw', '--no-abbrev', '--ignore-submodules=all']);
  const [tracked, same]: [ByteString[], ByteString[]] = [[], []];
  for (let at = 0; at + 1 < entries.length; at += 2) {
    const [before, mode = '', id = ''] = entries[at]!.slice(1).split(' ');
    const path = entries[at + 1]!;
    const isSame = before === mode && mode.startsWith('100') && (await hasBytesOf(pathOf(directory, path), id));
    (isSame ? same : tracked).push(path);
  }
  return { tracked, same };
}

/** Whether a file is byte for byte what an object holds. */
async function hasBytesOf(file: Buffer, id: string): Promise<boolean> {
  try {
    const there = await lstat(file);
    if (!there.isFile()) return false;
    const hash = createHash(id.length === 64 ? 'sha256' : 'sha1').update(`blob ${there.size}\0`);
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
    return hash.digest('hex') === id;
  } catch {
    return false;
  }
}

async function fileLeft(run: Run, directory: string, path: ByteString): Promise<Left | undefined> {
  const file = pathOf(directory, path);
  const there = await lstat(file).catch(() => undefined);
  if (!there || there.isSymbolicLink() || there.isDirectory()) return undefined;
  const as = (reason: Left['reason']) => ({ path, bytes: there.size, reason, stamp: stampOf(there) });
  if (!there.isFile()) return as('special');
  if (there.size > run.limits.fileBytes) return as('too_large');
  const isReadable = await access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
  return isReadable ? undefined : as('unreadable');
}

export function stampOf({ size, mtimeMs }: Stats): string {
  return `${size}:${mtimeMs}`;
}

/** Files in the place of a submodule that we did not check out: git looks past them. */
async function strangersInGitlinks(part: Part, directory: string, owned: ReadonlySet<string>): Promise<Left[]> {
  const found = part.gitlinks.map(async ([path]) => {
    if (owned.has(readable(path))) return undefined;
    const names = await readdir(pathOf(directory, path)).catch(() => []);
    return names.length === 0 ? undefined : nested(directory, path);
  });
  return (await Promise.all(found)).filter((one) => one !== undefined);
}

/** A `git init` in a directory that the index has files of: git takes the files, and says nothing of the commits there. */
async function repositoriesInTree(git: Git, directory: string): Promise<Left[]> {
  const directories = new Set<ByteString>();
  for (const path of await git.list(['ls-files', '-z']))
    for (let at = path.lastIndexOf('/'); at > 0 && !directories.has(path.slice(0, at)); at = path.lastIndexOf('/', at - 1))
      directories.add(path.slice(0, at));
  const found = await Promise.all(
    Array.from(directories, async (path) => {
      const inner = `${path}/.git`;
      const there = await lstat(pathOf(directory, inner)).catch(() => undefined);
      return there && nested(directory, there.isDirectory() ? `${inner}/` : inner);
    }),
  );
  return found.filter((one) => one !== undefined);
}

async function nested(directory: string, path: ByteString): Promise<Left> {
  const { bytes, newestMs } = await survey(join(directory, readable(path)), 50_000);
  return { path, bytes, reason: 'nested_repository', stamp: `${bytes}:${newestMs}` };
}
