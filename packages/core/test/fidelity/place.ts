import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { configFileOf, fifo, type Entry, type Row } from './row.ts';

const run = promisify(execFile);

/** Where a row stands on this machine. */
export interface PlacedRow {
  readonly row: Row;
  readonly root: string;
  readonly home: string;
  readonly work: string;
  /** Directory of the session. */
  readonly directory: string;
  /** The user's configuration directory, if the row has one. */
  readonly configDir: string | undefined;
  readonly configFile: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

let placedRows = 0;

/** What a server keeps in a root between two rows. */
const kept = new Set(['tmp', 'managed', 'server']);

/** Takes the row before away, writes the files of this one below `root`, and makes a repository of its workspace. */
export async function placeRow(row: Row, root: string, modelUrl: string): Promise<PlacedRow> {
  // opencode remembers what it could not load of a directory, so that each row has one of its own.
  const workName = `work-${placedRows++}`;
  const [home, work, conf] = ['home', workName, 'conf'].map((name) => join(root, name)) as [string, string, string];
  const fill = fillIn(root, work, modelUrl);
  const at = (path: string) => join(root, path.replace(/^work(?=\/|$)/, workName));
  for (const name of (await readdir(root)).filter((one) => !kept.has(one))) await clear(join(root, name), name === 'home');
  for (const path of [home, work, conf]) await mkdir(path, { recursive: true });
  for (const [path, entry] of Object.entries(row.files)) await place(at(path), entry, fill);
  await makeRepository(work);
  const configFile = configFileOf(row);
  return {
    row,
    root,
    home,
    work,
    directory: join(work, row.session ?? ''),
    configDir: row.place === 'global' || row.place === 'both' ? join(home, '.config/opencode') : undefined,
    configFile: configFile === undefined ? undefined : at(configFile),
    env: environmentOf([row], root),
  };
}

export async function makeRepository(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  const env = { PATH: process.env['PATH'] ?? '', GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  await run('git', ['init', '--quiet', '--template=', '--initial-branch=main'], { cwd: path, env });
}

/** opencode's database stays. */
async function clear(path: string, isHome: boolean): Promise<void> {
  if (!isHome) return rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  for (const name of (await readdir(path)).filter((one) => one !== '.local')) await clear(join(path, name), false);
}

/** The variables of rows. */
export function environmentOf(rows: readonly Row[], root: string): Record<string, string> {
  const fill = fillIn(root, '', '');
  return Object.fromEntries(rows.flatMap(({ env = {} }) => Object.entries(env).map(([name, value]) => [name, fill(value)])));
}

function fillIn(root: string, work: string, modelUrl: string): (text: string) => string {
  const places = { HOME: join(root, 'home'), WORK: work, CONF: join(root, 'conf'), ROOT: root, MODEL: modelUrl };
  return (text) => text.replaceAll(/@(HOME|WORK|CONF|ROOT|MODEL)@/g, (_, name: keyof typeof places) => places[name]);
}

async function place(path: string, entry: Entry, fill: (text: string) => string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (entry === fifo) await run('mkfifo', [path]);
  else if (entry instanceof Uint8Array) await writeFile(path, fillBytes(entry, fill));
  else if (typeof entry === 'string') await writeFile(path, fill(entry));
  else {
    await mkdir(join(dirname(path), entry.link, '..'), { recursive: true });
    await symlink(entry.link, path);
  }
}

/** In UTF-16 texts the tokens stand two bytes a letter. */
function fillBytes(bytes: Uint8Array, fill: (text: string) => string): Uint8Array {
  const buffer = Buffer.from(bytes);
  if (buffer[0] === 0xff && buffer[1] === 0xfe) return Buffer.from(fill(buffer.toString('utf16le')), 'utf16le');
  return Buffer.from(fill(buffer.toString('latin1')), 'latin1');
}
