import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { entriesOf, readable } from '../git/bytes.ts';
import type { Git } from '../git/git.ts';
import type { FileChange } from '../types.ts';

/** What makes a patch the same for everybody, and applicable: the user's `diff.*` does not count, binaries are in it. */
const exact =
  '--binary --full-index --no-renames --no-ext-diff --no-textconv --no-color --src-prefix=a/ --dst-prefix=b/ --submodule=short'.split(' ');

/** Writes the patch between two trees into a file; false when it is larger than the limit, and there is no file then. */
export async function writePatch(git: Git, base: string, tree: string, file: string, limit: number): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  const args = ['diff-tree', '-r', '-p', ...exact, base, tree];
  const diff = git.start(args, { streamed: true });
  const draft = `${file}.part`;
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > limit ? new RangeError('too large') : null, chunk);
    },
  });
  try {
    await pipeline(diff.stdout, counted, createWriteStream(draft));
    const result = await diff;
    if (result.exitCode !== 0) throw await git.failed(args, result);
    await rename(draft, file);
    return true;
  } catch (error) {
    diff.kill();
    await rm(draft, { force: true });
    if (error instanceof RangeError) return false;
    throw error;
  }
}

const statuses: Readonly<Record<string, FileChange['status']>> = { A: 'added', D: 'deleted', R: 'renamed', T: 'type_changed' };

/** What changed between two trees, with renames. */
export async function listChanges(git: Git, base: string, tree: string): Promise<FileChange[]> {
  const { stdout } = await git.run(['diff-tree', '-r', '-z', '-M', '--raw', '--numstat', '--no-ext-diff', '--no-textconv', base, tree]);
  const entries = entriesOf(stdout);
  const files = new Map<string, Omit<FileChange, 'insertions' | 'deletions'>>();
  const changes: FileChange[] = [];
  for (let at = 0; at < entries.length; at += 1) {
    const entry = entries[at]!;
    if (entry.startsWith(':')) {
      const [, mode = '', , , letter = ''] = entry.slice(1).split(' ');
      const from = letter.startsWith('R') ? entries[(at += 1)]! : undefined;
      const path = entries[(at += 1)]!;
      files.set(path, {
        path: readable(path),
        ...(from !== undefined && { from: readable(from) }),
        status: statuses[letter[0]!] ?? 'modified',
        mode,
      });
      continue;
    }
    const [insertions = '', deletions = '', named = ''] = entry.split('\t');
    // A rename names its two paths after it; a path may hold tabs.
    const path = named === '' ? entries[(at += 2)]! : entry.slice(insertions.length + deletions.length + 2);
    changes.push({ ...files.get(path)!, insertions: lines(insertions), deletions: lines(deletions) });
  }
  return changes;
}

function lines(count: string): number | undefined {
  return count === '-' ? undefined : Number(count);
}
