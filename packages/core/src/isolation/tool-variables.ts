import { createHash } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refuseReserved } from './environment.ts';

/** Where the variables of directories stand, in a state directory. */
export const toolVariablesDirectory = (stateDir: string): string => join(stateDir, 'run', 'tool-variables');

/** A server begins without those of the one before it, for which tasks may write some at that moment. */
export function clearToolVariables(stateDir: string): Promise<void> {
  return rm(toolVariablesDirectory(stateDir), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}

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
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write(root, file, JSON.stringify(variables));
    } catch (error) {
      // A server that takes the place of a lost one begins with an empty directory, which may be removed at any time.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === writeAttempts) throw error;
    }
  }
}

/** More than one removal at a time there is not. */
const writeAttempts = 3;

async function write(root: string, file: string, text: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  // The server may read it at any time.
  const next = `${file}.next`;
  await writeFile(next, text, { mode: 0o600 });
  await rename(next, file);
}
