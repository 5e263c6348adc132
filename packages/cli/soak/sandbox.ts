import { spawn } from 'node:child_process';
import { once } from 'node:events';

const inside = 'OCM_SOAK_INSIDE';

/**
 * Starts this program again where it may mount a small disk that goes with it. Gives its exit code; undefined in the one that is to do the work.
 */
export async function withOwnMounts(): Promise<number | undefined> {
  if (process.env[inside] !== undefined) return undefined;
  const flags = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
  const command = [...flags, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', command, { stdio: 'inherit', env: { ...process.env, [inside]: '1' } });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}
