import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/**
 * SHA-256 over the files below a directory, their names and contents, in hexadecimal digits. What packages were installed there is left out: it
 * follows from the rest. Symbolic links to files count as what they lead to.
 */
export async function directoryDigest(directory: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.toSorted()) {
    const name = relative(directory, path);
    if (name.split('/').some((part) => part === 'node_modules' || part === '.git')) continue;
    const content = await readFile(path).catch(() => undefined);
    if (content) hash.update(JSON.stringify([name, content.length])).update(content);
  }
  return hash.digest('hex');
}
