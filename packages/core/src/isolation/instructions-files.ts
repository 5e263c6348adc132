import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Where the instructions of all workspaces stand, in a state directory. */
export const instructionsDirectory = (stateDir: string): string => join(stateDir, 'run', 'instructions');

/** Where the instructions of a workspace wait for the server. */
export function instructionsFile(root: string, directory: string): string {
  return join(root, `${createHash('sha256').update(directory).digest('hex')}.json`);
}
