import { stat } from 'node:fs/promises';
import { withParents } from './git-root.ts';
import { orUndefined } from './read-file.ts';

/** A directory above a workspace into which somebody else can write. */
export interface UnsafeParent {
  readonly path: string;
  readonly why: string;
}

/**
 * The directories above a workspace outside git in which another user can make an `.opencode`: opencode goes up to `/` there, and
 * runs what it finds.
 */
export async function unsafeParents(directory: string, self = process.getuid?.()): Promise<UnsafeParent[]> {
  const parents = [...withParents(directory)].slice(1);
  const found = await Promise.all(parents.map((path) => whyUnsafe(path, self)));
  return parents.flatMap((path, index) => (found[index] === undefined ? [] : [{ path, why: found[index] }]));
}

async function whyUnsafe(path: string, self: number | undefined): Promise<string | undefined> {
  const stats = await orUndefined(stat(path));
  if (!stats || self === undefined) return undefined;
  if (stats.uid !== 0 && stats.uid !== self) return 'belongs to another user';
  if ((stats.mode & 0o002) !== 0) return 'can be written by everybody';
  // A group that has the user's own number, as many systems make one for each user, or root's has no other members.
  return (stats.mode & 0o020) !== 0 && stats.gid !== self && stats.gid !== 0 ? 'can be written by a group' : undefined;
}
