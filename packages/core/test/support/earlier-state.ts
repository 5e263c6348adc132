import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes a state directory as an earlier version left it: without a mark. */
export async function putEarlierState(path: string): Promise<void> {
  for (const name of ['home', 'data', 'cache', 'state', 'run', 'managed', 'config/opencode/plugin'])
    await mkdir(join(path, name), { recursive: true });
  await writeFile(join(path, 'config/opencode/plugin/opencode-manager-tool-environment.js'), 'old');
  await chmod(path, 0o700);
}
