import { constants } from 'node:fs';
import { lstat, open, readlink, realpath, stat, type FileHandle } from 'node:fs/promises';
import { sep } from 'node:path';
import { exhaustionOf } from '../../errors/index.ts';

/** What stands at a path of a workspace. */
export type WorkspaceFile =
  | { readonly kind: 'missing' }
  | { readonly kind: 'file'; readonly content: Buffer }
  /** A regular file above the limit. */
  | { readonly kind: 'large'; readonly why: string }
  /** Not a regular file, or not inside. */
  | { readonly kind: 'foreign'; readonly why: string }
  /** A link to nothing. */
  | { readonly kind: 'dangling'; readonly why: string }
  /** The system refuses it, to opencode as to us: a loop of links, no permission. */
  | { readonly kind: 'unreachable'; readonly why: string };

export interface ReadLimits {
  /** Real path of a directory that the file must lie in, links resolved. Absent: anywhere. */
  readonly inside?: string;
  readonly maxBytes: number;
}

/**
 * Reads a file that somebody else may have made. Whatever stands there, this returns soon: a FIFO is not waited for, a device is not
 * opened, a link is followed only to a regular file (inside `inside`), and a file that grows is cut off at the limit.
 * @throws `RESOURCES_EXHAUSTED`
 */
export async function readWorkspaceFile(path: string, limits: ReadLimits): Promise<WorkspaceFile> {
  if ((await orUndefined(lstat(path))) === undefined) return { kind: 'missing' };
  try {
    const real = await realpath(path);
    if (limits.inside !== undefined && !isInside(real, limits.inside)) return foreign(`leads out of ${limits.inside}`);
    // Opening a device can have effects, so its kind is asked first.
    const kind = kindOf(await stat(real));
    if (kind !== 'file') return foreign(`is not a regular file (${kind})`);
    await using file = await open(real, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    return await readOpened(file, real, limits.maxBytes);
  } catch (error) {
    throwIfExhausted(error);
    return { kind: (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'dangling' : 'unreachable', why: reasonOf(error) };
  }
}

/** Everything is asked again of the open file: its name may stand for another one by now. */
async function readOpened(file: FileHandle, real: string, maxBytes: number): Promise<WorkspaceFile> {
  const stats = await file.stat();
  if (!stats.isFile()) return foreign(`is not a regular file (${kindOf(stats)})`);
  if (process.platform === 'linux' && (await readlink(`/proc/self/fd/${file.fd}`)) !== real) return foreign('changed while it was read');
  if (stats.size > maxBytes) return large(maxBytes);
  const content = await readAtMost(file, maxBytes + 1);
  return content.length > maxBytes ? large(maxBytes) : { kind: 'file', content };
}

async function readAtMost(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let left = maxBytes; left > 0;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(left, 65_536)), 0, Math.min(left, 65_536), null);
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    left -= bytesRead;
  }
  return Buffer.concat(chunks);
}

interface Kinds {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

type FileKind = 'file' | 'directory' | 'link' | 'FIFO' | 'socket' | 'device';

function kindOf(stats: Kinds): FileKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'link';
  if (stats.isFIFO()) return 'FIFO';
  return stats.isSocket() ? 'socket' : 'device';
}

/** True when a path is a directory or lies below it. Both are real paths. */
export function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);
}

/** What the system said, in words. */
export function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'is a link to nothing';
  if (code === 'ELOOP') return 'is a loop of links';
  return `cannot be read (${code ?? String(error)})`;
}

function large(maxBytes: number): WorkspaceFile {
  return { kind: 'large', why: `is larger than ${Math.round(maxBytes / 1024)} KB` };
}

function foreign(why: string): WorkspaceFile {
  return { kind: 'foreign', why };
}

/** Undefined for what is not there or cannot be reached. @throws `RESOURCES_EXHAUSTED` */
export function orUndefined<Value>(work: Promise<Value>): Promise<Value | undefined> {
  return work.catch((error: unknown) => {
    throwIfExhausted(error);
    return undefined;
  });
}

/** A machine that has no more descriptors, processes or memory says nothing about what stands at a path. */
export function throwIfExhausted(error: unknown): void {
  const exhausted = exhaustionOf(error);
  if (exhausted) throw exhausted;
}
