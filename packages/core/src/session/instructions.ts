import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { instructionsFile } from '../isolation/index.ts';

/** So many directories are written before it is looked which of them are gone. */
const sweepAfter = 200;

const none = JSON.stringify([]);

/** Puts a workspace's instructions where the server finds them. */
export type InstructionsStore = (directory: string, texts: readonly string[]) => Promise<void>;

/** A turn finds what was read for it: nobody else's words, and none of a run before. Turns that begin together share the write. */
export function createInstructionsStore(root: string): InstructionsStore {
  const writing = new Map<string, { readonly text: string; readonly written: Promise<void> }>();
  const kept = new Set<string>();
  let sweepAt = sweepAfter;
  let count = 0;

  /** A workspace of one attempt is removed after it; its instructions go with it. */
  async function sweep(): Promise<void> {
    sweepAt = Number.POSITIVE_INFINITY;
    for (const directory of kept) {
      const isGone = await access(directory).then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
      );
      if (!isGone || writing.has(directory)) continue;
      kept.delete(directory);
      await rm(instructionsFile(root, directory), { force: true });
    }
    sweepAt = kept.size + sweepAfter;
  }

  async function write(directory: string, text: string): Promise<void> {
    const file = instructionsFile(root, directory);
    if (text === none) return rm(file, { force: true });
    await mkdir(root, { recursive: true, mode: 0o700 });
    // The server may read it at any time.
    const next = `${file}.${(count += 1)}`;
    await writeFile(next, text, { mode: 0o600 });
    await rename(next, file);
    kept.add(directory);
    if (kept.size >= sweepAt) await sweep();
  }

  return (directory, texts) => {
    const text = JSON.stringify(texts);
    const last = writing.get(directory);
    if (last !== undefined && last.text === text) return last.written;
    const written = (last?.written ?? Promise.resolve()).catch(() => undefined).then(() => write(directory, text));
    const one = { text, written };
    writing.set(directory, one);
    const forget = () => void (writing.get(directory) === one && writing.delete(directory));
    written.then(forget, forget);
    return written;
  };
}
