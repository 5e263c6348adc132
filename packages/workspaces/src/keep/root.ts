import { mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { failure } from '../errors.ts';

/** Loaded when it is needed first: that takes 12 ms, and who only looks for runs does without. */
function crypto() {
  return process.getBuiltinModule('node:crypto');
}

/** The directory beside a repository in which its runs lie. */
export function runsBeside(top: string): string {
  return `${top}.ocm`;
}

/**
 * A name for a run, of time and chance: it sorts by time, and two at once differ. A title stands between them.
 * @example newRunId('Fix the tests') // '20260131T120000Z-fix-the-tests-9c1f'
 * @public
 */
export function newRunId(title = ''): string {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const slug = readableSlug(title);
  return [time, ...(slug === '' ? [] : [slug]), crypto().randomBytes(2).toString('hex')].join('-');
}

/** A key as refs and directories hold it: readable, and different for different keys. */
export function slugOf(key: string): string {
  return `${readableSlug(key) || 'task'}-${hashOf(key)}`;
}

/** At most 40 letters, digits and `-`; empty when a text has neither. */
function readableSlug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replaceAll(/^-+|-+$/g, '');
}

export function hashOf(...texts: readonly string[]): string {
  return crypto().createHash('sha256').update(texts.join('\0')).digest('hex').slice(0, 8);
}

/** The error for a directory that cannot hold a run. */
export type RootRefusal = (root: string, why: string, cause?: unknown) => Error;

export interface RootOptions {
  /** Where the user wants it; beside the source when absent. */
  readonly named: string | undefined;
  /** Name of the run. */
  readonly run: string;
  /** Top of the source. */
  readonly top: string;
  /** Notes the directory before it is made, so that a crash leaves none that nobody knows. */
  readonly register?: (root: string) => Promise<void> | undefined;
  /** Default: `WORKSPACE_ROOT_UNSAFE`. */
  readonly unsafe?: RootRefusal;
}

/**
 * Makes the directory of a run, for the user alone: never inside its source, nor where others could fill or replace it. Gives its real path.
 * @throws `WORKSPACE_ROOT_UNSAFE`, or what `unsafe` gives in its place
 */
export async function makeRoot({ named, run, top, register, unsafe = unsafeRoot }: RootOptions): Promise<string> {
  const root = resolve(named ?? join(runsBeside(top), run));
  const inEachOther = `it and the source ${top} lie in each other`;
  if (isInside(root, top) || isInside(top, root)) throw unsafe(root, inEachOther);
  const why = named === undefined ? await openParent(dirname(top)) : await openToOthers(root);
  if (why !== undefined) throw unsafe(root, why);
  await register?.(root);
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const real = await realpath(root);
    if (isInside(real, top) || isInside(top, real)) throw unsafe(root, inEachOther);
    return real;
  } catch (error) {
    throw unsafe(root, error instanceof Error ? error.message : String(error), error);
  }
}

/** What others own or can write, they can fill or replace; in a sticky directory (/tmp) not what is another's. Undefined when nobody can. */
async function openToOthers(root: string): Promise<string | undefined> {
  const own = process.getuid?.();
  const it = await stat(root).catch(() => undefined);
  if (it && own !== undefined && it.uid !== own) return 'it belongs to another user';
  if (it && (it.mode & 0o002) !== 0) return 'everybody can write into it';
  const parent = await nearest(dirname(root));
  const { mode, uid } = await stat(parent);
  if ((mode & 0o1002) === 0o002) return `everybody can write into ${parent}`;
  return own !== undefined && uid !== 0 && uid !== own ? `${parent} belongs to another user` : undefined;
}

/** The nearest directory above that exists: what is made below it is ours. */
async function nearest(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || dirname(path) === path ? path : nearest(dirname(path));
}

/** Who can write into the parent can replace what lies in it. Undefined when nobody else can. */
async function openParent(parent: string): Promise<string | undefined> {
  const { mode, uid } = await stat(parent);
  const own = process.getuid?.() ?? uid;
  if ((mode & 0o002) !== 0) return `everybody can write into ${parent}`;
  return uid !== 0 && uid !== own ? `${parent} belongs to another user` : undefined;
}

function unsafeRoot(root: string, why: string, cause?: unknown): Error {
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
