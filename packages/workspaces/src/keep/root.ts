import { createHash, randomBytes } from 'node:crypto';
import { mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { failure } from '../errors.ts';

/** The directory beside a repository in which its runs lie. */
export function runsBeside(top: string): string {
  return `${top}.ocm`;
}

/**
 * A name for a run, of time and chance: it sorts by time, and two at once differ.
 * @public
 */
export function newRunId(): string {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${time}-${randomBytes(2).toString('hex')}`;
}

/** A key as refs and directories hold it: readable, and different for different keys. */
export function slugOf(key: string): string {
  const slug = key
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replaceAll(/^-+|-+$/g, '');
  return `${slug || 'task'}-${hashOf(key)}`;
}

export function hashOf(...texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\0')).digest('hex').slice(0, 8);
}

/**
 * Makes the directory of a run, for the user alone; `register` notes it first, so that a crash leaves none that nobody knows.
 * @throws `WORKSPACE_ROOT_UNSAFE`
 */
export async function makeRoot(
  named: string | undefined,
  run: string,
  top: string,
  register: (root: string) => Promise<void> | undefined,
): Promise<string> {
  const root = resolve(named ?? join(runsBeside(top), run));
  if (isInside(root, top) || isInside(top, root)) throw unsafe(root, `it and the source ${top} lie in each other`);
  if (named === undefined) await refuseOpenParent(root, dirname(top));
  else await refuseOthers(root);
  await register(root);
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const real = await realpath(root);
    if (isInside(real, top) || isInside(top, real)) throw unsafe(root, `it and the source ${top} lie in each other`);
    return real;
  } catch (error) {
    throw unsafe(root, error instanceof Error ? error.message : String(error), error);
  }
}

/** What others own or can write, they can fill or replace; in a sticky directory (/tmp) not what is another's. */
async function refuseOthers(root: string): Promise<void> {
  const own = process.getuid?.();
  const it = await stat(root).catch(() => undefined);
  if (it && own !== undefined && it.uid !== own) throw unsafe(root, 'it belongs to another user');
  if (it && (it.mode & 0o002) !== 0) throw unsafe(root, 'everybody can write into it');
  const parent = await nearest(dirname(root));
  const { mode, uid } = await stat(parent);
  if ((mode & 0o1002) === 0o002) throw unsafe(root, `everybody can write into ${parent}`);
  if (own !== undefined && uid !== 0 && uid !== own) throw unsafe(root, `${parent} belongs to another user`);
}

/** The nearest directory above that exists: what is made below it is ours. */
async function nearest(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || dirname(path) === path ? path : nearest(dirname(path));
}

/** Who can write into the parent can replace what lies in it. */
async function refuseOpenParent(root: string, parent: string): Promise<void> {
  const { mode, uid } = await stat(parent);
  const own = process.getuid?.() ?? uid;
  if ((mode & 0o002) !== 0) throw unsafe(root, `everybody can write into ${parent}`);
  if (uid !== 0 && uid !== own) throw unsafe(root, `${parent} belongs to another user`);
}

function unsafe(root: string, why: string, cause?: unknown) {
  return failure(
    'WORKSPACE_ROOT_UNSAFE',
    `root: ${root} cannot hold workspaces: ${why}. Name another directory with root (ocm run: --root).`,
    { root },
    cause,
  );
}

function isInside(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way === '' || (!way.startsWith('..') && !way.startsWith('/'));
}
