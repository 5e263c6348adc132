import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerFiles } from '../protocol/index.ts';

/** Files that a server leaves for its manager, all in one directory. */
export function createServerFiles(directory: string): ServerFiles {
  const pathOf = (name: string) => join(directory, name);
  return { pathOf, read: (name) => readFile(pathOf(name), 'utf8').catch(() => '') };
}
