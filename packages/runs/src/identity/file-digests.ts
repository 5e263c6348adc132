import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TaskFile } from '@opencode-manager/actors';
import { failure, wordsOf } from '../errors.ts';

/** A file that goes with a prompt, by its content. Plain JSON. */
export interface FileDigest {
  /**
   * As the task names it; of an absolute path the last part, so that files may move with their repository; for a `data:` URL `data:` and 8
   * digits of its digest. The second file of a name is `NAME~2`.
   */
  readonly name: string;
  readonly mime?: string;
  /** 64 hexadecimal digits: of the content; of a URL that is fetched elsewhere, of the URL. */
  readonly sha256: string;
}

/** Contents that were read already, by their paths: many tasks may have the same file. */
export type KnownContents = Map<string, Promise<string>>;

/**
 * Reads the digests of a task's files; paths count from its directory.
 * @throws `TASK_INVALID` naming a file that cannot be read
 */
export async function digestFiles(files: readonly TaskFile[], directory: string, known: KnownContents = new Map()): Promise<FileDigest[]> {
  const digests = await Promise.all(files.map((file) => digestFile(file, directory, known)));
  const counts = new Map<string, number>();
  return digests.map((digest) => {
    const count = (counts.get(digest.name) ?? 0) + 1;
    counts.set(digest.name, count);
    return count === 1 ? digest : Object.assign({}, digest, { name: `${digest.name}~${count}` });
  });
}

async function digestFile({ path, url = '', mime }: TaskFile, directory: string, known: KnownContents): Promise<FileDigest> {
  const isLocal = path !== undefined || url.startsWith('file:');
  const sha256 = isLocal ? await contentOf(path ?? url, directory, known) : createHash('sha256').update(url).digest('hex');
  const named = path !== undefined && isAbsolute(path) ? basename(path) : path;
  const name = named ?? (url.startsWith('data:') ? `data:${sha256.slice(0, 8)}` : url);
  return { name, ...(mime !== undefined && { mime }), sha256 };
}

function contentOf(name: string, directory: string, known: KnownContents): Promise<string> {
  const path = name.startsWith('file:') && !isAbsolute(name) ? fileURLToPath(name) : resolve(directory, name);
  const before = known.get(path);
  if (before) return before;
  const reading = readDigest(path).catch((error: unknown) => {
    throw failure('TASK_INVALID', `files: ${name} cannot be read: ${wordsOf(error)}. Nothing was sent.`, { field: 'files', path }, error);
  });
  known.set(path, reading);
  return reading;
}

async function readDigest(path: string): Promise<string> {
  // A FIFO would be waited for.
  if (!(await stat(path)).isFile()) throw new Error('it is no regular file');
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
