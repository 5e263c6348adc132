import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A home and a temporary directory of this run's own: whatever strays out of the state directory is seen there. */
export interface Sandbox extends AsyncDisposable {
  /** Every path below it, with the content of files; sorted. */
  listing(): Promise<string[]>;
}

/** Directories below the home that a program would use by default. */
const decoys = ['.config/opencode', '.local/share/opencode', '.local/state/opencode', '.cache/opencode'];
const bases = ['XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME'];

/** Moves this process into a sandbox. To be called before anything asks for a directory. */
export async function enterSandbox(): Promise<Sandbox> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'ocm-soak-')));
  const home = join(root, 'home');
  await mkdir(join(root, 'tmp'));
  for (const [index, decoy] of decoys.entries()) {
    await mkdir(join(home, decoy), { recursive: true });
    await writeFile(join(home, decoy, 'opencode.json'), '{ "model": "decoy/model" }\n');
    process.env[bases[index]!] = join(home, decoy, '..');
  }
  process.env['HOME'] = home;
  process.env['TMPDIR'] = join(root, 'tmp');
  return {
    listing: () => listing(root),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

async function listing(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    return entry.isFile() ? `${path} ${await readFile(path, 'latin1').catch(() => '(gone)')}` : path;
  });
  return (await Promise.all(lines)).toSorted();
}
