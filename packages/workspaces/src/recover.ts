import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isManagerError } from '@opencode-manager/core/errors';
import { readTips } from './capture/agent-refs.ts';
import { setRefs } from './capture/commit.ts';
import { removeMetadata, underWorktreeLock } from './create/worktree.ts';
import type { Git } from './git/git.ts';
import type { Source } from './git/source.ts';
import { readUserSettings } from './git/user-settings.ts';
import { inStore } from './run.ts';
import { keepFound } from './keep/found.ts';
import { readLedger, type LedgerLease } from './keep/ledger.ts';
import { tryLock } from './keep/lock.ts';
import { removePins } from './keep/pins.ts';
import { processesIn } from './keep/processes.ts';
import { recoverLease, type RecoveredLease } from './keep/recover-lease.ts';
import { forgetRun, registeredRuns } from './keep/registry.ts';
import { runsBeside } from './keep/root.ts';
import { closeRun, findOrigin, openRun, toolsEnvironment, type Origin } from './open-run.ts';

/** A lease that nobody holds any more. */
export interface LeftLease {
  readonly key: string;
  readonly attempt: number;
  readonly path: string;
  /** `kept` was kept on purpose; every other state is that of a holder that died. */
  readonly state: LedgerLease['state'];
  /** Ids of processes that have their directory there. */
  readonly processes: readonly number[];
}

/** A run that no process holds, and that left something. */
export interface LeftRun {
  readonly run: string;
  readonly root: string;
  /** Somebody has removed its directory. */
  readonly isGone: boolean;
  readonly leases: readonly LeftLease[];
}

export interface RecoveredRun {
  readonly run: string;
  readonly root: string;
  readonly leases: readonly RecoveredLease[];
}

/**
 * Lists what runs of a repository left whose process is gone. Runs in use are not listed. Nothing is changed.
 * @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`
 */
export async function findLeftWorkspaces(repository: string): Promise<LeftRun[]> {
  const origin = await originOf(repository);
  const found: LeftRun[] = [];
  for (const [run, root] of await rootsOf(origin)) {
    if (!(await isDirectory(root))) found.push({ run, root, isGone: true, leases: [] });
    else if (!isHeld(root)) found.push({ run, root, isGone: false, leases: await leftLeases(root) });
  }
  return found;
}

async function leftLeases(root: string): Promise<LeftLease[]> {
  const { leases } = await readLedger(join(root, 'ledger.jsonl'));
  const left = leases.filter(({ state }) => state !== 'removed');
  return Promise.all(
    left.map(async ({ record: { key, attempt, path }, state }) => ({ key, attempt, path, state, processes: await processesIn(path) })),
  );
}

/**
 * Brings what {@link findLeftWorkspaces} lists to its end: results are taken, and then the directories removed. What was kept on purpose,
 * what a process still uses and what no ref can hold stays, with the reason. It can be called again, and at any time: runs in use are
 * left alone. One that fails keeps no other from its end; the first failure is thrown afterwards.
 * @throws as {@link findLeftWorkspaces}
 */
export async function recoverLeftWorkspaces(repository: string): Promise<RecoveredRun[]> {
  const origin = await originOf(repository);
  const recovered: RecoveredRun[] = [];
  const failures: unknown[] = [];
  for (const [run, root] of await rootsOf(origin)) {
    try {
      const leases = (await isDirectory(root)) ? await recoverRun(repository, run, root) : await recoverGone(origin, run, root);
      if (leases) recovered.push({ run, root, leases });
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return recovered;
}

/** Of a run that nobody holds; undefined when somebody does. */
export async function recoverRun(
  repository: string,
  run: string,
  root: string,
  discardLeftBehind = false,
): Promise<readonly RecoveredLease[] | undefined> {
  const held = await openRun({ repository, run, root }, undefined).catch((error: unknown) => {
    if (isManagerError(error, 'WORKSPACE_LOCKED')) return undefined;
    throw error;
  });
  if (!held) return undefined;
  const leases: RecoveredLease[] = [];
  let isDone = false;
  try {
    await quietly(root);
    await keepFound(held.run);
    for (const lease of (await readLedger(join(root, 'ledger.jsonl'))).leases)
      if (lease.state !== 'removed') leases.push(await recoverLease(held.run, lease, discardLeftBehind));
    isDone = leases.every(({ outcome }) => outcome === 'removed') && (await processesIn(root)).length === 0;
  } finally {
    // A recovery that broke off leaves the run, and what agents did there, as it is.
    await closeRun(held, isDone);
  }
  return leases;
}

/** A git that a killed process had started goes on for a moment. Processes of an agent do not end by themselves. */
async function quietly(root: string): Promise<void> {
  for (let waited = 0; waited < 3000 && (await processesIn(root)).length > 0; waited += 50) await sleep(50);
}

/** Of a run whose directory is gone: the commits of its worktrees are saved, and what it had in the repository is removed. */
async function recoverGone({ source, git }: Origin, run: string, root: string): Promise<readonly RecoveredLease[]> {
  if (!source) return [];
  await underWorktreeLock(source.gitDir, async () => {
    for (const [metadata, id] of await worktreesOf(source.gitDir, run)) {
      await saveTips(git, source, metadata, `refs/ocm/${run}/${id}`);
      await removeMetadata(source.gitDir, join(root, 'workspaces', id));
    }
  });
  await removePins({ id: run, git }, source);
  await forgetRun(source.gitDir, run);
  return [];
}

/** Commits that nothing but a worktree's HEAD holds, or held. */
async function saveTips(git: Git, source: Source, metadata: string, prefix: string): Promise<void> {
  const tips = [...(await readTips(metadata)).keys()];
  if (tips.length === 0) return;
  const store = await inStore({ git }, source);
  const asked = ['rev-list', '--ignore-missing', '--stdin', '--not', '--branches', '--tags', '--remotes'];
  const lost = new Set((await store.text(asked, { input: tips.map((tip) => `${tip}\n`).join('') })).split('\n'));
  const refs = tips.filter((tip) => lost.has(tip)).map((tip, n) => [`${prefix}/gone.${n}`, tip] as const);
  if (refs.length > 0) await setRefs({ git }, source, refs);
}

/** Directories that stand for the worktrees of a run, by the reason of their lock, and what their paths end with. */
async function worktreesOf(gitDir: string, run: string): Promise<[metadata: string, id: string][]> {
  const names = await readdir(join(gitDir, 'worktrees')).catch(() => []);
  const directories = names.map((name) => join(gitDir, 'worktrees', name));
  const reasons = await Promise.all(directories.map((path) => readFile(join(path, 'locked'), 'utf8').catch(() => '')));
  return directories.flatMap((path, n) => {
    const [ours, of, id] = reasons[n]!.trim().split(' ');
    return ours === 'ocm' && of === run && id !== undefined ? [[path, id] as [string, string]] : [];
  });
}

export async function originOf(repository: string): Promise<Origin> {
  const { safeDirectories } = await readUserSettings();
  return findOrigin(repository, toolsEnvironment(), safeDirectories);
}

/** Runs of a repository, by the notes in it, and outside git by what lies beside it. What has no lock holds results alone. */
export async function rootsOf({ source, top }: Origin): Promise<Map<string, string>> {
  if (source) return registeredRuns(source.gitDir);
  const names = await readdir(runsBeside(top)).catch(() => []);
  const found = (await Promise.all(names.map((name) => rootsIn(name, join(runsBeside(top), name))))).flat();
  const locks = await Promise.all(found.map(([, root]) => stat(join(root, 'lock')).catch(() => undefined)));
  return new Map(found.filter((_, n) => locks[n]));
}

/** Its lock says who has the run, and not that workspaces were left: those have directories of their own below `workspaces`. */
async function rootsIn(name: string, path: string): Promise<[run: string, root: string][]> {
  if (!(await isWhole(path))) return [[name, path]];
  const names = await readdir(join(path, 'workspaces')).catch(() => []);
  const roots = names.map((below) => join(path, 'workspaces', below));
  const ledgers = await Promise.all(roots.map((root) => readLedger(join(root, 'ledger.jsonl')).catch(() => undefined)));
  return roots.flatMap((root, n) => {
    const run = ledgers[n]?.opened?.run;
    return run === undefined ? [] : [[run, root] as [string, string]];
  });
}

/** Whether a directory is that of a run which keeps more than workspaces: it goes as a whole, or not at all. */
export async function isWhole(path: string): Promise<boolean> {
  return (await isFile(join(path, 'run.json'))) || isFile(join(path, 'journal.sqlite'));
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

export function isHeld(root: string): boolean {
  const lock = tryLock(join(root, 'lock'));
  lock?.release();
  return lock === undefined;
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
