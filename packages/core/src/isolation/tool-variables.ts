import { createHash } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refuseReserved } from './environment.ts';

/** Where the variables of directories stand, in a state directory. */
export const toolVariablesDirectory = (stateDir: string): string => join(stateDir, 'run', 'tool-variables');

/**
 * Puts what tools of one directory see, over all else, where the plugin of the tools' environment finds it; undefined takes it back.
 * @throws `CONFIG_INVALID` for a variable that isolation rests on
 */
export async function keepToolVariables(
  stateDir: string,
  directory: string,
  variables: Readonly<Record<string, string>> | undefined,
): Promise<void> {
  const root = toolVariablesDirectory(stateDir);
  const file = join(root, `${createHash('sha256').update(directory).digest('hex')}.json`);
  if (variables === undefined) return rm(file, { force: true });
  refuseReserved(Object.keys(variables), 'variables');
  await mkdir(root, { recursive: true, mode: 0o700 });
  // The server may read it at any time.
  const next = `${file}.next`;
  await writeFile(next, JSON.stringify(variables), { mode: 0o600 });
  await rename(next, file);
}
