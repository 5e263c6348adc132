import { basename, dirname } from 'node:path';

/** What a command calls a run: its id where that is found, beside its repository; else the path of its directory. */
export function runName(id: string, path: string): string {
  return basename(path) === id && dirname(path).endsWith('.ocm') ? id : path;
}
