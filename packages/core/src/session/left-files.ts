import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LeftFiles } from '../protocol/index.ts';

/** Files that a server leaves for its manager, all in one directory. */
export function createLeftFiles(directory: string): LeftFiles {
  const pathOf = (name: string) => join(directory, name);
  return { pathOf, read: (name) => readFile(pathOf(name), 'utf8').catch(() => '') };
}
