import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { instructionsFile } from '../isolation/index.ts';

/** Puts a workspace's instructions where the server finds them. */
export type InstructionsStore = (directory: string, text: string | undefined) => Promise<void>;

/** A turn finds what was read for it: nobody else's words, and none of a run before. Turns that begin together share the write. */
export function createInstructionsStore(root: string): InstructionsStore {
  const writing = new Map<string, { readonly text: string | undefined; readonly written: Promise<void> }>();
  let count = 0;

  async function write(directory: string, text: string | undefined): Promise<void> {
    const file = instructionsFile(root, directory);
    if (text === undefined) return rm(file, { force: true });
    await mkdir(root, { recursive: true, mode: 0o700 });
    // The server may read it at any time.
    const next = `${file}.${(count += 1)}`;
    await writeFile(next, text, { mode: 0o600 });
    await rename(next, file);
  }

  return (directory, text) => {
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
