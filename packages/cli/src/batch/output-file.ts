import { open, type FileHandle } from 'node:fs/promises';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { TaskResult } from '@opencode-manager/actors';

/** Where `--out` puts results: one JSON object a line, each written when its task is finished. */
export interface OutputFile {
  write(result: TaskResult): void;
  /** Resolves when all is written. @throws OpencodeManagerError `USAGE` when something could not be */
  close(): Promise<void>;
}

/**
 * Opens the file before anything starts. What stood in it goes with the first result: a run that fails earlier must not
 * cost the results of the one before.
 * @throws OpencodeManagerError `USAGE`
 */
export async function openOutputFile(path: string): Promise<OutputFile> {
  const file = await openForWriting(path);
  let last: Promise<unknown> | undefined;
  let failure: unknown;
  return {
    // One write at a time keeps lines whole.
    write(result) {
      last = (last ?? file.truncate(0))
        .then(() => file.appendFile(`${JSON.stringify(result)}\n`))
        .catch((error: unknown) => (failure ??= error));
    },
    async close() {
      await last;
      await file.close();
      if (failure !== undefined) throw unwritable(path, failure);
    },
  };
}

async function openForWriting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'a');
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): OpencodeManagerError {
  const reason = (error as NodeJS.ErrnoException).code ?? String(error);
  return new OpencodeManagerError(
    'USAGE',
    `--out: ${path} cannot be written (${reason}). Name a file in an existing directory with room.`,
    { cause: error },
  );
}
