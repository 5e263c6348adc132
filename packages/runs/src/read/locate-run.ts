import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { runsBeside } from '@opencode-manager/workspaces/keep';
import { runLayout } from '../directory/layout.ts';
import { failure } from '../errors.ts';

/**
 * The directories of the runs of the repository that a directory lies in, the newest first. Git is not started: runs lie beside the outermost
 * repository, or outside git beside a directory, and that is what is looked for from here upwards. Runs in directories that were named
 * (`--run-dir`) are not among them.
 */
export async function runDirectories(directory: string): Promise<string[]> {
  const start = await realpath(resolve(directory)).catch(() => resolve(directory));
  const above = ancestorsOf(start);
  const found: { readonly isRepository: boolean; readonly paths: readonly string[] }[] = [];
  for (const top of above) {
    const paths = await runsIn(runsBeside(top));
    if (paths.length > 0) found.push({ isRepository: await isThere(join(top, '.git')), paths });
  }
  const { paths = [] } = found.findLast(({ isRepository }) => isRepository) ?? found[0] ?? {};
  return newestFirst(paths);
}

/**
 * The directory of the run that is meant: the newest without a name; else by its id, a part of the beginning or the end of it that no other
 * has, or its path.
 * @throws `RUN_UNKNOWN` naming the runs that there are
 */
export async function locateRun(directory: string, name?: string): Promise<string> {
  if (name?.includes('/') || name === '.' || name === '..') return byPath(resolve(directory, name));
  const paths = await runDirectories(directory);
  if (name === undefined) {
    if (paths[0] !== undefined) return paths[0];
    const message = `There is no run of ${resolve(directory)}. Start one with: ocm run FILE. Runs of another place: --directory DIR, or name the path of one.`;
    throw failure('RUN_UNKNOWN', message);
  }
  const exact = paths.find((path) => basename(path) === name);
  if (exact !== undefined) return exact;
  const fitting = paths.filter((path) => name !== '' && (basename(path).startsWith(name) || basename(path).endsWith(name)));
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length > 1) throw unknown(`${name} fits ${fitting.length} runs: ${listed(fitting)}. Say more of the id.`, name);
  if (await isRun(resolve(directory, name))) return resolve(directory, name);
  const there = paths.length === 0 ? 'It has none.' : `It has: ${listed(paths)}.`;
  throw unknown(`${name} is no run of ${resolve(directory)}, and no directory of one. ${there}`, name);
}

async function byPath(path: string): Promise<string> {
  if (await isRun(path)) return path;
  throw unknown(`${path} is no directory of a run: it holds no run.json.`, path);
}

function unknown(message: string, name: string) {
  return failure('RUN_UNKNOWN', message, { run: name });
}

/** Runs that are named before the rest is counted. */
const mostListed = 10;

function listed(paths: readonly string[]): string {
  const names = paths.slice(0, mostListed).map((path) => basename(path));
  return paths.length > mostListed ? `${names.join(', ')} and ${paths.length - mostListed} more` : names.join(', ');
}

/** From a directory up to the root. */
function ancestorsOf(directory: string): string[] {
  const above = dirname(directory);
  return above === directory ? [directory] : [directory, ...ancestorsOf(above)];
}

async function runsIn(parent: string): Promise<string[]> {
  const names = await readdir(parent).catch(() => []);
  const paths = names.map((name) => join(parent, name));
  const are = await Promise.all(paths.map(isRun));
  return paths.filter((_, index) => are[index]);
}

/** A journal without `run.json` is that of a run which has not begun yet, or never did; with a row in it, of one that has lost a file. */
async function isRun(path: string): Promise<boolean> {
  const { runFile, journal } = runLayout(path);
  if (await isThere(runFile)) return true;
  if (!(await isThere(journal))) return false;
  const { JournalReader } = await import('./journal-reader.ts');
  try {
    using reader = new JournalReader(journal);
    return reader.newest(1).length > 0;
  } catch {
    return true;
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** How the id of a run begins: `20261128T171500Z`. */
const timed = /^\d{8}T\d{6}Z/;

/** By their names, which begin with the second of their start; `run.json` is read only where that does not decide. */
async function newestFirst(paths: readonly string[]): Promise<string[]> {
  const seconds = paths.map((path) => timed.exec(basename(path))?.[0]);
  const decides = seconds.every((second) => second !== undefined) && new Set(seconds).size === paths.length;
  const timesOf = decides ? (path: string) => basename(path) : startOf;
  const dated = await Promise.all(paths.map(async (path) => ({ path, time: await timesOf(path) })));
  return dated.toSorted((one, other) => (one.time < other.time ? 1 : -1)).map(({ path }) => path);
}

/** ISO 8601; empty for a run that does not say it. */
async function startOf(path: string): Promise<string> {
  try {
    const { created_at: start } = JSON.parse(await readFile(runLayout(path).runFile, 'utf8')) as { created_at?: unknown };
    return typeof start === 'string' ? start : '';
  } catch {
    return '';
  }
}
