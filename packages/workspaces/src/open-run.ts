import { realpath, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failure, isFull, unless } from './errors.ts';
import { Git, gitEnvironment, type Environment } from './git/git.ts';
import { findSource, type Source, type Store } from './git/source.ts';
import { makeToolsDirectory } from './git/tools-directory.ts';
import { readUserSettings } from './git/user-settings.ts';
import { keepFound } from './keep/found.ts';
import { Ledger, readLedger, type LedgerContent } from './keep/ledger.ts';
import { tryLock, type FileLock } from './keep/lock.ts';
import { removePins } from './keep/pins.ts';
import { forgetRun, registerRun } from './keep/registry.ts';
import { removeTree } from './keep/remove.ts';
import { makeRoot, newRunId, runsBeside } from './keep/root.ts';
import type { Run } from './run.ts';
import type { WorkspaceMode, WorkspacesOptions } from './types.ts';

/** A run of which this process is the only holder. */
export interface HeldRun {
  readonly run: Run;
  readonly lock: FileLock;
  /** What the ledger said when it was opened. */
  readonly content: LedgerContent;
}

/** What workspaces are made of: a repository, or a directory outside git. */
export interface Origin {
  readonly source: Source | undefined;
  readonly top: string;
  /** git that knows no place of ours yet. */
  readonly git: Git;
}

/** @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID` */
export async function findOrigin(repository: string, tools: Environment, safeDirectories: readonly string[]): Promise<Origin> {
  const git = new Git('/', gitEnvironment(tools, safeDirectories));
  const source = await findSource(git, repository);
  return { git, source, top: source?.top ?? (await realpath(repository)) };
}

/** Of this process's environment, what tools need to work. No key, no token: those are passed by name. */
export function toolsEnvironment(): Environment {
  const names = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TMPDIR', 'USER', 'LOGNAME', 'SHELL', 'TZ'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

const defaults = { fileBytes: 50_000_000, patchBytes: 50_000_000, copyBytes: 2_000_000_000 };

/**
 * Makes the directory of a run, or takes up the one that is there, and holds its lock until `closeRun`.
 * @throws `WORKSPACE_ROOT_UNSAFE`, `WORKSPACE_LOCKED`, and as {@link findOrigin}
 */
export async function openRun(options: WorkspacesOptions, mode: Exclude<WorkspaceMode, 'shared'> | undefined): Promise<HeldRun> {
  const tools = options.environment ?? toolsEnvironment();
  const user = await readUserSettings();
  const { source, top, git } = await findOrigin(options.repository, tools, user.safeDirectories);
  const id = options.run ?? (options.root === undefined ? newRunId() : basename(options.root));
  const register = (path: string) => source && registerRun(source.gitDir, id, path);
  const root = await makeRoot({ named: options.root, run: id, top, register });
  const lock = tryLock(join(root, 'lock'));
  if (lock === undefined)
    throw failure('WORKSPACE_LOCKED', `root: another process uses ${root}. Wait for it, or use another run.`, { root });
  let ledger: Ledger | undefined;
  try {
    const content = await readLedger(join(root, 'ledger.jsonl'));
    const toolsDir = join(root, 'git');
    const here = new Git(root, git.environment);
    // A store of its own holds results.
    if (source) await removeTree(toolsDir);
    if (!(await stat(toolsDir).catch(unless('ENOENT')))) await makeToolsDirectory(here, toolsDir, source, user);
    // Again: a recovery that came before the directory has taken it for a note of a run that is gone.
    if (source) await registerRun(source.gitDir, id, root);
    ledger = await Ledger.open(join(root, 'ledger.jsonl'));
    const store: Store = source ?? { gitDir: toolsDir, objects: join(toolsDir, 'objects') };
    const run: Run = {
      id,
      mode: mode ?? content.opened?.mode ?? (source ? 'clone' : 'copy'),
      root,
      artifacts: options.artifacts ?? join(root, 'artifacts'),
      templates: options.templates ?? (options.root === undefined ? join(runsBeside(top), 'templates') : join(root, 'templates')),
      source,
      top,
      store: { gitDir: store.gitDir, objects: store.objects },
      git: here,
      toolsDir,
      tools,
      limits: { ...defaults, ...options.limits },
      options,
      ledger,
      pinned: new Set(content.stores.map(({ gitDir }) => gitDir)),
      contents: new Map(),
      note: options.onNote ?? (() => {}),
    };
    if (!content.opened) await ledger.append({ event: 'opened', run: id, repository: top, mode: run.mode });
    return { run, lock, content };
  } catch (error) {
    await ledger?.close();
    lock.release();
    if (!isFull(error)) throw error;
    const message = `root: there is no room for workspaces in ${root}. Make room, or name another directory with root (ocm run: --root).`;
    throw failure('WORKSPACE_CREATE_FAILED', message, { root }, error);
  }
}

/**
 * Lets go of a run. When nothing of it is left that somebody needs, its pins and its directory go too; what `artifacts` holds stays, and
 * outside git the repository that holds the results.
 */
export async function closeRun({ run, lock }: HeldRun, isDone: boolean): Promise<void> {
  try {
    const isFound = await keepFound(run);
    await run.ledger.close();
    if (isDone && !isFound) await removeRun(run);
  } finally {
    await run.ledger.close();
    lock.release();
  }
}

async function removeRun(run: Run): Promise<void> {
  const { root, source } = run;
  // Its directory is gone, and the ledger with it: its own store is all that is known.
  const { stores } = await readLedger(join(root, 'ledger.jsonl'));
  for (const store of [run.store, ...stores]) if (await stat(store.gitDir).catch(() => undefined)) await removePins(run, store);
  if (source) await forgetRun(source.gitDir, run.id);
  for (const name of ['workspaces', 'leases', 'trash', 'templates', ...(source ? ['git'] : [])]) await removeTree(join(root, name));
  for (const name of ['ledger.jsonl', 'lock']) await rm(join(root, name), { force: true });
  const stays = unless('ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY');
  await rmdir(root).catch(stays);
  if (dirname(root) === runsBeside(run.top)) await rmdir(dirname(root)).catch(stays);
}
