import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface FingerprintLimits {
  /** Entries that are looked at over all directories; the rest is counted as not compared. */
  readonly maxEntries: number;
  /** Bytes that are hashed over all files; beyond it, size and time of change stand for the content. */
  readonly maxHashedBytes: number;
}

/** A user's opencode holds 60 MB of packages and a database; this reads about as much in under a second. */
export const defaultLimits: FingerprintLimits = { maxEntries: 50_000, maxHashedBytes: 256 * 1024 * 1024 };

/** What directories looked like at a moment. */
export interface Fingerprint {
  readonly directories: readonly string[];
  /** Path to what was seen there: kind, size, time of change and content. */
  readonly entries: ReadonlyMap<string, string>;
  readonly hashedBytes: number;
  /** True when the limit of entries was reached, so that some were not looked at. */
  readonly truncated: boolean;
}

interface Budget {
  entries: number;
  bytes: number;
}

/** Looks at every entry below the directories, without following links. Missing directories are part of the picture. */
export async function fingerprintDirectories(
  directories: readonly string[],
  limits: FingerprintLimits = defaultLimits,
): Promise<Fingerprint> {
  const entries = new Map<string, string>();
  const budget: Budget = { entries: limits.maxEntries, bytes: limits.maxHashedBytes };
  for (const directory of directories) await visit(directory, entries, budget);
  return { directories, entries, hashedBytes: limits.maxHashedBytes - budget.bytes, truncated: budget.entries <= 0 };
}

async function visit(path: string, entries: Map<string, string>, budget: Budget): Promise<void> {
  if (budget.entries <= 0) return;
  budget.entries -= 1;
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return void entries.set(path, 'missing');
  if (stats.isDirectory()) {
    entries.set(path, `directory ${stats.mode.toString(8)}`);
    const names = await readdir(path).catch(() => []);
    for (const name of names.toSorted((a, b) => a.localeCompare(b))) await visit(join(path, name), entries, budget);
    return;
  }
  entries.set(path, `${stats.size} ${stats.mtimeMs} ${await contentOf(path, stats, budget)}`);
}

async function contentOf(
  path: string,
  stats: { isFile(): boolean; isSymbolicLink(): boolean; size: number },
  budget: Budget,
): Promise<string> {
  if (stats.isSymbolicLink()) return `link ${await readlink(path).catch(() => 'unreadable')}`;
  if (!stats.isFile()) return 'special';
  if (stats.size > budget.bytes) return 'not hashed';
  budget.bytes -= stats.size;
  const hash = createHash('sha256');
  return pipeline(createReadStream(path), hash).then(
    () => hash.digest('hex'),
    () => 'unreadable',
  );
}

/** Paths that appeared, went or changed between two fingerprints. */
export function differences(before: Fingerprint, after: Fingerprint): string[] {
  const paths = new Set([...before.entries.keys(), ...after.entries.keys()]);
  return [...paths].filter((path) => before.entries.get(path) !== after.entries.get(path)).toSorted();
}
