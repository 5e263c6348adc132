import type { Stats } from 'node:fs';
import { lstat, readlink, stat } from 'node:fs/promises';
import { orUndefined } from './read-file.ts';

/** How a path looks without being read. */
export interface FileLook {
  /** Where it leads when it is a link, as it is written there. */
  readonly link: string | undefined;
  /** Of what it leads to; undefined for a link to nothing. */
  readonly stats: Stats | undefined;
}

/** A file that changed this shortly before it was read may change again without a trace in its times; milliseconds. */
const racyMs = 100;

/**
 * Keeps what was made of files, by path (and by the directory that it must lie in), and makes it again when a file no longer looks as
 * it did: another inode, size, or time of change (which nobody can set by hand). Gives undefined for a path where nothing stands.
 */
export function rememberFiles<Made>(
  make: (path: string, look: FileLook, inside?: string) => Promise<Made>,
  limit: number,
): (path: string, inside?: string) => Promise<Made | undefined> {
  const known = new Map<string, { readonly print: string; readonly made: Made }>();
  return async (path, inside) => {
    const own = await orUndefined(lstat(path));
    if (!own) return undefined;
    const link = own.isSymbolicLink() ? ((await orUndefined(readlink(path))) ?? '') : undefined;
    const look: FileLook = { link, stats: link === undefined ? own : await orUndefined(stat(path)) };
    const print = `${link ?? ''} ${printOf(look.stats)}`;
    const key = `${path}\0${inside ?? ''}`;
    const before = known.get(key);
    if (before?.print === print) return before.made;
    const madeAtMs = Date.now();
    const made = await make(path, look, inside);
    known.delete(key);
    if (look.stats && look.stats.ctimeMs < madeAtMs - racyMs) known.set(key, { print, made });
    if (known.size > limit) known.delete(known.keys().next().value!);
    return made;
  };
}

/** What changes when a file is written or replaced. */
export function printOf(stats: Stats | undefined): string {
  return stats ? `${stats.dev}:${stats.ino}:${stats.mode}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}` : '';
}
