import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The first executable file of this name in the directories of a PATH. */
export async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const directory of path.split(delimiter)) {
    const candidate = join(directory, name);
    if (directory !== '' && (await isExecutableFile(candidate))) return candidate;
  }
  return undefined;
}

export async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** Where a shell stands when PATH says nothing: NixOS has its programs in the last of them, and no /bin/bash. */
const shellDirectories = ['/bin', '/usr/bin', '/run/current-system/sw/bin'];

/** The first of these shells that the machine has, on PATH or at the usual places. */
export async function findShell(names: readonly string[], path = process.env['PATH'] ?? ''): Promise<string | undefined> {
  for (const name of names) {
    const found = await findOnPath(name, [path, ...shellDirectories].join(delimiter));
    if (found !== undefined) return found;
  }
  return undefined;
}
