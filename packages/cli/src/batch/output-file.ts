import { open, type FileHandle } from 'node:fs/promises';
import { OpencodeManagerError } from '@opencode-manager/core';
import type { TaskResult } from '@opencode-manager/actors';

/** Where `--out` puts results: one JSON object a line, each written when its task is finished. */
export interface OutputFile extends AsyncDisposable {
  write(result: TaskResult): Promise<void>;
}

/** Opens (and empties) the file before anything starts. @throws OpencodeManagerError `USAGE` */
export async function openOutputFile(path: string): Promise<OutputFile> {
  const file = await openForWriting(path);
  let last: Promise<unknown> = Promise.resolve();
  return {
    // One write at a time keeps lines whole.
    async write(result) {
      last = last.then(() => file.appendFile(`${JSON.stringify(result)}\n`));
      await last;
    },
    async [Symbol.asyncDispose]() {
      await last.catch(() => undefined);
      await file.close();
    },
  };
}

async function openForWriting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w');
  } catch (error) {
    throw new OpencodeManagerError('USAGE', `--out: ${path} cannot be written (${(error as NodeJS.ErrnoException).code}). Name a file in an existing directory.`, { cause: error });
  }
}
