import { readdir, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { toManagerError } from '@opencode-manager/core/errors';
import { survey } from './create/copy.ts';
import { failure, unless } from './errors.ts';
import type { LeaseRecord } from './keep/ledger.ts';
import { readLedger } from './keep/ledger.ts';
import { removeTree } from './keep/remove.ts';
import { runsBeside } from './keep/root.ts';
import type { Origin } from './open-run.ts';
import { isDirectory, isFile, isHeld, isWhole, originOf, recoverRun, rootsOf } from './recover.ts';
import { inStore } from './run.ts';

/** A workspace that is still there though its run is over. */
export interface KeptWorkspace {
  readonly key: string;
  readonly attempt: number;
  readonly path: string;
  readonly bytes: number;
}

/** A run that no process holds, with what there is of it. */
export interface FinishedRun {
  readonly run: string;
  /** Its directory; undefined when there are only refs. */
  readonly root: string | undefined;
  /** By their keys. */
  readonly workspaces: readonly KeptWorkspace[];
  /** Results, in the repository; in those of submodules there may be more. */
  readonly refs: readonly string[];
  /** Bytes of patches and logs in its directory. */
  readonly artifactBytes: number;
  /**
   * It is a part of a run whose own directory (with `run.json`) says whether somebody will go on with it. What it left is removed only by
   * its name.
   */
  readonly isPart: boolean;
  /** The directory of that run, where it is known. */
  readonly runDirectory: string | undefined;
}

export interface CleanOptions {
  /** Names of runs; all that are finished and no part of another one when absent. */
  readonly runs?: readonly string[];
  /** Removes workspaces alone: refs and patches stay. */
  readonly keepResults?: boolean;
  /** Removes nothing: says what would be. */
  readonly dryRun?: boolean;
}

export interface CleanedRun extends FinishedRun {
  /** What could not be removed, with the reason: then results stay too. */
  readonly stays: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Lists the finished runs of a repository, with their sizes. Nothing is changed.
 * @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`
 * @public
 */
export async function findFinishedRuns(repository: string): Promise<FinishedRun[]> {
  const origin = await originOf(repository);
  const beside = await directoriesBeside(origin);
  const areWhole = await Promise.all(beside.map(([, path]) => isWhole(path)));
  const whole = beside.filter((_, n) => areWhole[n]);
  const roots = new Map([...beside.filter((_, n) => !areWhole[n]), ...(await rootsOf(origin))]);
  const refs = await refsByRun(origin);
  const found: FinishedRun[] = [];
  for (const run of new Set([...roots.keys(), ...refs.keys()])) {
    const root = roots.get(run);
    const isThere = root !== undefined && (await isDirectory(root));
    // To look at a lock makes its file.
    if (isThere && (await isFile(join(root, 'lock'))) && isHeld(root)) continue;
    const own = refs.get(run) ?? [];
    const [named] = whole.filter(([name]) => isPartOf(run, name)).map(([, path]) => path);
    const runDirectory = named ?? (root === undefined ? undefined : await wholeAround(root));
    found.push({
      run,
      root: isThere ? root : undefined,
      workspaces: isThere ? await workspacesIn(root) : [],
      refs: own,
      artifactBytes: isThere ? (await survey(join(root, 'artifacts'))).bytes : 0,
      isPart: runDirectory !== undefined || hasPins(run, own),
      runDirectory,
    });
  }
  return found.toSorted((one, other) => (one.run < other.run ? -1 : 1));
}

/** A run that works in several repositories has its name in the first, and the name with 8 hexadecimal digits in the others. */
export function isPartOf(name: string, run: string): boolean {
  return name === run || (name.startsWith(`${run}-`) && /^[0-9a-f]{8}$/.test(name.slice(run.length + 1)));
}

/** Commits that such a run keeps to go on with: see `pinCommit`. */
function hasPins(run: string, refs: readonly string[]): boolean {
  return refs.some((ref) => ref.startsWith(`refs/ocm/${run}/base/`));
}

/** The directory of such a run, in whose `workspaces` a root lies. */
async function wholeAround(root: string): Promise<string | undefined> {
  const around = dirname(dirname(root));
  return basename(dirname(root)) === 'workspaces' && (await isWhole(around)) ? around : undefined;
}

/**
 * Removes what finished runs left: workspaces, those that were kept too, with what no ref holds of them; then refs and patches. Workspaces
 * in which a process works, or something changes, stay, and so do the results of their run.
 * @throws as {@link findFinishedRuns}; `CONFIG_INVALID` for a run that is none, or not finished
 * @example
 * for (const { run, workspaces } of await cleanRuns('.', { keepResults: true })) console.log(run, workspaces.length)
 * @public
 */
export async function cleanRuns(
  repository: string,
  { runs, keepResults = false, dryRun = false }: CleanOptions = {},
): Promise<CleanedRun[]> {
  const finished = await findFinishedRuns(repository);
  const unknown = runs?.find((name) => !finished.some(({ run }) => run === name));
  if (unknown !== undefined) throw failure('CONFIG_INVALID', `runs: ${unknown} is no finished run of ${repository}.`, { option: 'runs' });
  const wanted = finished.filter(({ run, isPart }) => (runs === undefined ? !isPart : runs.includes(run)));
  const cleaned: CleanedRun[] = [];
  for (const one of wanted) cleaned.push(await cleanRun(repository, one, { keepResults, dryRun }));
  return cleaned;
}

/** Removes what one run of {@link findFinishedRuns} left, as {@link cleanRuns} does. @public */
export async function cleanRun(
  repository: string,
  one: FinishedRun,
  { keepResults = false, dryRun = false }: Omit<CleanOptions, 'runs'> = {},
): Promise<CleanedRun> {
  if (dryRun) return { ...one, stays: [] };
  try {
    return { ...one, stays: await removeOne(repository, await originOf(repository), one, keepResults) };
  } catch (error) {
    return { ...one, stays: [unremoved(one, error)] };
  }
}

/** Size of the files in a directory, in bytes. */
export async function bytesIn(directory: string): Promise<number> {
  return (await survey(directory)).bytes;
}

/** What stays of a run. */
async function removeOne(repository: string, origin: Origin, one: FinishedRun, keepResults: boolean): Promise<CleanedRun['stays']> {
  const stays = await removeWorkspaces(repository, one);
  if (stays.length > 0 || keepResults) return stays;
  // A run that began since it was looked at has its lock by now, and its results are nobody else's.
  if (one.root !== undefined && (await isFile(join(one.root, 'lock')))) return [{ path: one.root, reason: inUse }];
  await removeResults(origin, one);
  return [];
}

const inUse = 'another process uses it';

/** One run that cannot be removed does not keep the others. */
function unremoved({ root, run }: FinishedRun, error: unknown): CleanedRun['stays'][number] {
  return { path: root ?? `refs/ocm/${run}`, reason: toManagerError(error).message };
}

async function removeWorkspaces(repository: string, { run, root }: FinishedRun): Promise<CleanedRun['stays']> {
  // What has no lock holds results alone.
  if (root === undefined || !(await isFile(join(root, 'lock')))) return [];
  const leases = await recoverRun(repository, run, root, true);
  if (leases === undefined) return [{ path: root, reason: inUse }];
  return leases.filter(({ outcome }) => outcome === 'kept').map(({ path, reason = 'kept' }) => ({ path, reason }));
}

async function removeResults(origin: Origin, { root, run }: FinishedRun): Promise<void> {
  const { source, top, git } = origin;
  // Again: what a killed run had left in its workspaces has come to refs since it was looked at.
  const refs = (await refsByRun(origin)).get(run) ?? [];
  if (source && refs.length > 0) {
    const store = await inStore({ git }, source);
    await store.run(['update-ref', '--stdin'], { input: refs.map((name) => `delete ${name}\n`).join('') });
  }
  if (root === undefined) return;
  await removeTree(join(root, 'artifacts'));
  // Outside git the run has a repository of its own, with the results.
  if (!source) await removeTree(join(root, 'git'));
  const stays = unless('ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY');
  await rmdir(root).catch(stays);
  if (root === join(runsBeside(top), run)) await rmdir(runsBeside(top)).catch(stays);
}

async function directoriesBeside({ top }: Origin): Promise<[string, string][]> {
  const names = await readdir(runsBeside(top)).catch(() => []);
  return names.filter((name) => name !== 'templates' && !name.startsWith('.')).map((name) => [name, join(runsBeside(top), name)]);
}

async function refsByRun({ source, git }: Origin): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  if (!source) return found;
  const store = await inStore({ git }, source);
  for (const name of (await store.text(['for-each-ref', '--format=%(refname)', 'refs/ocm/'])).split('\n')) {
    const [, , run] = name.split('/');
    if (run === undefined) continue;
    found.set(run, [...(found.get(run) ?? []), name]);
  }
  return found;
}

async function workspacesIn(root: string): Promise<KeptWorkspace[]> {
  const { leases } = await readLedger(join(root, 'ledger.jsonl'));
  const left = leases.filter(({ state }) => state !== 'removed').map(({ record }) => record);
  const sized = left.map(async ({ key, attempt, path }: LeaseRecord) => ({ key, attempt, path, bytes: (await survey(path)).bytes }));
  return (await Promise.all(sized)).toSorted((one, other) => one.key.localeCompare(other.key) || one.attempt - other.attempt);
}
