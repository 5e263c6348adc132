import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gone, isErrno, namingRoom } from '../errors.ts';

/** Texts of a file, piece by piece. */
export type Pieces = Iterable<string>;

/**
 * Puts a file in the place of another one: a reader sees the old one or the new one, whole, after a loss of power too. For one writer.
 * @throws `RUN_STORAGE_FULL`; `RUN_GONE` when its directory is not there
 */
export async function replaceFile(path: string, pieces: Pieces): Promise<void> {
  await replace(path, async (file) => {
    for (const piece of pieces) await file.appendFile(piece);
    await file.sync();
  });
  await syncDirectory(dirname(path));
}

/** As {@link replaceFile}, without waiting for the disk: for what is told anew every second. */
export async function replaceQuickly(path: string, text: string): Promise<void> {
  await replace(path, (file) => file.appendFile(text));
}

async function replace(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const draft = `${path}.new`;
  try {
    const file = await open(draft, 'w', 0o600);
    try {
      await write(file);
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw isErrno(error, 'ENOENT') ? gone(path) : namingRoom(error, path);
  }
}

/** A new name is there after a loss of power only when its directory was synced too. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
