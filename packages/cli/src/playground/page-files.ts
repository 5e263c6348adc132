import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OpencodeManagerError } from '@opencode-manager/core';

export interface PageFile {
  readonly body: Buffer;
  readonly type: string;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

/** Beside the compiled command; the same place seen from the source. */
const pageDirectory = fileURLToPath(new URL('../../dist/page/', import.meta.url));

/**
 * The built page, by path. Only what lies in the directory at the start can be asked for.
 * @throws OpencodeManagerError `PLAYGROUND_UNAVAILABLE`
 */
export async function readPageFiles(directory = pageDirectory): Promise<ReadonlyMap<string, PageFile>> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const files = await Promise.all(
      paths.map(
        async (path) =>
          [urlOf(directory, path), { body: await readFile(path), type: types[extname(path)] ?? 'application/octet-stream' }] as const,
      ),
    );
    return new Map(files);
  } catch (error) {
    throw new OpencodeManagerError(
      'PLAYGROUND_UNAVAILABLE',
      `The page of the playground is missing at ${directory}. Install the package again, or build it from a clone with: npm run build`,
      { cause: error },
    );
  }
}

function urlOf(directory: string, path: string): string {
  return `/${relative(directory, path).split(sep).join('/')}`;
}
