import { createHash } from 'node:crypto';
import { realpath, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type {
  LeasedWorkspace,
  Outcome,
  TaskResult,
  TaskWorkspaceResult,
  WorkspaceChanges,
  WorkspaceRequest,
  WorkspaceSource,
} from '@opencode-manager/actors';
import { OpencodeManagerError, toManagerError } from '@opencode-manager/core';
import {
  newRunId,
  openWorkspaces,
  recoverLeftWorkspaces,
  repositoryFacts,
  takenResult,
  type Capture,
  type TreeResult,
  type Workspace,
  type WorkspaceMode,
  type Workspaces,
  type WorkspacesOptions,
} from '@opencode-manager/workspaces';
import { execa } from 'execa';
import type { WorkspacePlan } from './plan.ts';

/** A workspace that is still there after the run. */
export interface KeptWorkspace {
  readonly key: string;
  readonly attempt: number;
  readonly path: string;
  readonly reason: string;
  /** What it holds and its patch has not. */
  readonly holds: readonly KeptThing[];
  /** The command that removes it. */
  readonly remove: string;
}

type KeptThing = Capture['leftBehind'][number];

interface AttemptPlace {
  readonly key: string;
  readonly attempt: number;
  /** That of the task. */
  readonly directory: string;
  /** That of the task; the run's own when absent. */
  readonly mode: WorkspaceMode | undefined;
}

/** The workspaces of all repositories that the tasks of a run name. */
export interface RunWorkspaces extends AsyncDisposable {
  readonly source: WorkspaceSource;
  /** Directories that hold the patches. */
  readonly patches: readonly string[];
  /**
   * Opens those of every repository that is wanted, so that one without is refused before anything starts; what killed runs left there is
   * brought to its end.
   * @throws OpencodeManagerError as `openWorkspaces`
   */
  open(): Promise<void>;
  /** What an attempt of a manager that has died had done in its workspace; null when it had none, or has changed nothing. */
  changesOf(attempt: AttemptPlace): Promise<Partial<TaskWorkspaceResult> | null>;
  /** A task is over: what has to stay depends on its outcome. */
  finished(task: Pick<TaskResult, 'id' | 'outcome'>): void;
  /** When no process of the run is left: takes and removes what is still there; tells what stays. Never throws. */
  close(): Promise<readonly KeptWorkspace[]>;
}

/** The run whose workspaces they are, when it has a directory. */
interface RunPlace {
  readonly id: string;
  /** Its directory, absolute. */
  readonly path: string;
  /** The user has named it: nothing but it is made there. */
  readonly isNamed: boolean;
}

export interface RunWorkspacesOptions {
  readonly plan: WorkspacePlan;
  readonly place?: RunPlace | undefined;
  /** Commit on which a workspace of a directory in git begins, as it was when the run began. */
  readonly baseOf: (directory: string) => Promise<string | undefined>;
  readonly onNote: (line: string) => void;
}

/** The workspaces of a run. Nothing is opened before `open` or the first acquisition. */
export function runWorkspaces(options: RunWorkspacesOptions): RunWorkspaces {
  return new OpenRunWorkspaces(options);
}

class OpenRunWorkspaces implements RunWorkspaces {
  readonly #options: RunWorkspacesOptions;
  readonly #open = new Map<string, Promise<Workspaces>>();
  readonly #recovered = new Set<string>();
  readonly #leases = new Set<Lease>();
  readonly #patches = new Set<string>();
  readonly #outcomes = new Map<string, Outcome>();
  #closed: Promise<readonly KeptWorkspace[]> | undefined;
  readonly source: WorkspaceSource;

  constructor(options: RunWorkspacesOptions) {
    this.#options = options;
    this.source = { acquire: (key, request) => this.#acquire(key, request), reopen: (key, request) => this.#reopen(key, request) };
  }

  get patches(): readonly string[] {
    return [...this.#patches];
  }

  async open(): Promise<void> {
    try {
      for (const { directory, mode } of this.#options.plan.wanted) await this.of(directory, mode);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  finished({ id, outcome }: Pick<TaskResult, 'id' | 'outcome'>): void {
    this.#outcomes.set(id, outcome);
  }

  /** Whether a workspace in which a turn has ended stays. Before the end of its task a turn ends when another attempt is made. */
  #isKept(key: string): boolean {
    const keep = this.#options.plan.settings?.keep;
    return keep === 'all' || (keep === 'failed' && this.#outcomes.get(key) !== 'succeeded');
  }

  async changesOf({ directory, key, attempt, mode }: AttemptPlace): Promise<Partial<TaskWorkspaceResult> | null> {
    const wanted = mode ?? this.#options.plan.mode;
    if (wanted === 'shared') return null;
    const workspaces = await this.of(directory, wanted);
    const artifacts = this.#artifacts(workspaces);
    const taken = await takenResult(directory, { run: workspaces.run, key, attempt, artifacts });
    if (!taken) return null;
    // Its commits, and what the patch has not, are not told by the ref.
    return changesOf({ ...taken, truncated: taken.patch === undefined && taken.filesChanged > 0, commits: [] });
  }

  /** Those of one directory, by whatever path it is named; the same for all of its tasks. */
  async of(directory: string, mode: WorkspaceMode): Promise<Workspaces> {
    // One that is not there is named by who opens it.
    const repository = await realpath(directory).catch(() => resolve(directory));
    const name = JSON.stringify([repository, mode]);
    const open = this.#open.get(name) ?? this.#openOne(repository, mode);
    this.#open.set(name, open);
    return open;
  }

  async #openOne(repository: string, mode: WorkspaceMode): Promise<Workspaces> {
    const { plan, onNote } = this.#options;
    const { parent: _parent, keep: _keep, ...settings } = plan.settings ?? {};
    if (mode === 'clone' || mode === 'worktree') await refuseWithoutCommit(repository);
    const artifacts = plan.patches?.path ?? (this.#options.place && join(this.#options.place.path, 'artifacts'));
    const workspaces = await openWorkspaces({
      repository,
      mode,
      ...settings,
      ...(await this.#placesOf(repository, mode)),
      ...(artifacts !== undefined && { artifacts }),
      onNote: ({ key, message }) => onNote(key === undefined ? message : `${key}: ${message}`),
    });
    this.#patches.add(this.#artifacts(workspaces));
    // Of other runs: those of this one are held by now.
    await this.#recover(repository);
    return workspaces;
  }

  #artifacts({ root }: Workspaces): string {
    const { plan, place } = this.#options;
    return plan.patches?.path ?? join(place?.path ?? root ?? '', 'artifacts');
  }

  /** Where the workspaces of a directory are: in the directory of the run, or below `--root`; without either beside the repository. */
  async #placesOf(repository: string, mode: WorkspaceMode): Promise<Pick<WorkspacesOptions, 'run' | 'root' | 'templates'>> {
    const { plan, place } = this.#options;
    const parent = plan.settings?.parent;
    if (!place) return parent === undefined ? {} : placesIn(parent, repository);
    const hash = hashOf(JSON.stringify([repository, mode]));
    // The first has the name of the run itself: that is where it is looked for.
    const [first] = plan.wanted;
    const isFirst = first?.mode === mode && (await realpath(first.directory).catch(() => first.directory)) === repository;
    const run = isFirst ? place.id : `${place.id}-${hash}`;
    const root = join(place.path, 'workspaces', `${basename(repository)}-${hash}`);
    if (place.isNamed) return { run, root };
    const beside = dirname(place.path);
    const top = (await repositoryFacts(repository))?.top ?? repository;
    return { run, root, templates: join(beside, 'templates', ...(`${top}.ocm` === beside ? [] : [hashOf(top)])) };
  }

  /** What cannot be recovered must not keep a run from starting. */
  async #recover(repository: string): Promise<void> {
    if (this.#recovered.has(repository)) return;
    this.#recovered.add(repository);
    const runs = await recoverLeftWorkspaces(repository).catch(() => []);
    const own = this.#options.place?.id;
    // Another place of this run is its own affair.
    const others = runs.filter(({ run }) => own === undefined || (run !== own && !run.startsWith(`${own}-`)));
    for (const { key, ref, outcome, path, reason } of others.flatMap(({ leases }) => leases)) {
      const where = outcome === 'removed' ? (ref === undefined ? 'nothing was done there' : `its result is ${ref}`) : `${path}: ${reason}`;
      // What was kept on purpose is known.
      if (reason !== 'keep' && reason !== 'left_behind') this.#options.onNote(`A workspace of an earlier run, ${key}: ${where}`);
    }
  }

  async #acquire(key: string, { directory, mode, attempt, signal }: WorkspaceRequest): Promise<LeasedWorkspace> {
    const wanted = (mode ?? this.#options.plan.mode) as WorkspaceMode;
    const workspaces = await this.of(directory, wanted);
    const remove = removalOf(workspaces, directory);
    const base = wanted === 'copy' ? undefined : await this.#options.baseOf(directory);
    const options = { signal, ...(base !== undefined && { base }), ...(attempt !== undefined && { attempt }) };
    const lease = new Lease(await workspaces.acquire(key, options), { isKept: () => this.#isKept(key), remove });
    this.#leases.add(lease);
    return lease;
  }

  async #reopen(key: string, { directory, mode, attempt = 1 }: WorkspaceRequest): Promise<LeasedWorkspace> {
    const workspaces = await this.of(directory, (mode ?? this.#options.plan.mode) as WorkspaceMode);
    const workspace = await workspaces.reopen(key, attempt);
    for (const old of this.#leases) if (old.isAt(workspace.path)) this.#leases.delete(old);
    const lease = new Lease(workspace, { isKept: () => this.#isKept(key), remove: removalOf(workspaces, directory) });
    this.#leases.add(lease);
    return lease;
  }

  close(): Promise<readonly KeptWorkspace[]> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<readonly KeptWorkspace[]> {
    for (const open of this.#open.values()) {
      const problem = await open.then((workspaces) => workspaces.close()).catch(toManagerError);
      if (problem && this.#leases.size > 0) this.#options.onNote(problem.message);
    }
    this.#options.plan.patches?.tidy();
    if (this.#options.place) await rmdir(join(this.#options.place.path, 'workspaces')).catch(() => undefined);
    const kept = await Promise.all([...this.#leases].map((lease) => lease.kept()));
    return kept.filter((one) => one !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Runs and what setups made lie below a directory as they would beside the repository. */
function placesIn(parent: string, repository: string): Pick<WorkspacesOptions, 'run' | 'root' | 'templates'> {
  const run = newRunId();
  return { run, root: join(parent, run), templates: join(parent, 'templates', hashOf(repository)) };
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Each task would fail of it. @throws OpencodeManagerError `WORKSPACE_SOURCE_INVALID` */
async function refuseWithoutCommit(repository: string): Promise<void> {
  const { PATH, HOME } = process.env;
  const options = { cwd: repository, env: { PATH, HOME, LANG: 'C.UTF-8' }, extendEnv: false, reject: false, stdin: 'ignore' } as const;
  const { exitCode } = await execa('git', ['rev-parse', '--quiet', '--verify', 'HEAD^{commit}'], options);
  if (exitCode === 0 || exitCode === undefined) return;
  throw new OpencodeManagerError(
    'WORKSPACE_SOURCE_INVALID',
    `${repository} is no git repository with a commit. Commit something there, or use --workspace copy. Nothing was started.`,
    { details: { repository } },
  );
}

interface LeaseOptions {
  /** Whether it stays though its result is safe. */
  readonly isKept: () => boolean;
  readonly remove: string;
}

function removalOf({ run }: Workspaces, directory: string): string {
  return `ocm clean --keep-results ${run} --directory ${quoted(directory)}`;
}

/** A word of a shell line. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A workspace, as the pool sees it. */
class Lease implements LeasedWorkspace {
  readonly #workspace: Workspace;
  readonly #options: LeaseOptions;
  #holds: readonly KeptThing[] = [];
  #reason = 'it could not be removed';
  #isUsed = false;

  constructor(workspace: Workspace, options: LeaseOptions) {
    this.#workspace = workspace;
    this.#options = options;
  }

  get directory(): string {
    return this.#workspace.directory;
  }

  get environment(): Readonly<Record<string, string>> {
    return this.#workspace.environment;
  }

  async capture(): Promise<TaskWorkspaceResult | null> {
    this.#isUsed = true;
    const capture = await this.#workspace.capture();
    if (!capture) return null;
    this.#holds = capture.leftBehind.filter(({ reason }) => reason !== 'ignored');
    return resultOf(capture, this.#workspace.path);
  }

  async release(): Promise<void> {
    try {
      const { reason, processes } = await this.#workspace.release({ keep: this.#isUsed && this.#options.isKept() });
      if (reason !== undefined) this.#reason = reasons[reason];
      if (processes) this.#reason += ` (${processes.join(', ')})`;
    } catch (error) {
      this.#reason = toManagerError(error).message;
      throw error;
    }
  }

  /** It stays, with what was done there, for the attempt that goes on in it. */
  async park(): Promise<void> {
    await this.#workspace.release({ keep: true });
    this.#reason = 'its task is parked until the quota of its provider is free again';
  }

  isAt(path: string): boolean {
    return this.#workspace.path === path;
  }

  async kept(): Promise<KeptWorkspace | undefined> {
    const { key, attempt, path, mode } = this.#workspace;
    if (mode === 'shared' || !(await stat(path).catch(() => undefined))) return undefined;
    return { key, attempt, path, reason: this.#reason, holds: this.#holds, remove: this.#options.remove };
  }
}

const reasons = {
  keep: 'it was to be kept',
  processes: 'processes have their directory there',
  changed: 'something still writes there',
  left_behind: 'it holds files that its patch has not',
  gone: 'somebody had removed it',
} as const;

/** What is not ignored stays where it is, with the workspace. */
function resultOf(capture: Capture, path: string): TaskWorkspaceResult {
  const { leftBehind, overlapsWith, submodules, sourceChanges } = capture;
  return {
    ...changesOf(capture),
    left_behind: leftBehind.map((left) => (left.reason === 'ignored' ? left : Object.assign({}, left, { kept_at: join(path, left.path) }))),
    overlaps_with: overlapsWith,
    ...(sourceChanges.length > 0 && { source_changes: sourceChanges }),
    ...(submodules.length > 0 && { submodules: submodules.map((one) => Object.assign({ path: one.path }, changesOf(one))) }),
  };
}

function changesOf({
  baseCommit,
  tree,
  ref,
  patch,
  truncated,
  filesChanged,
  insertions,
  deletions,
  commits,
}: Omit<TreeResult, 'historyRef'>): WorkspaceChanges {
  return {
    base_commit: baseCommit,
    tree,
    ref,
    // An empty file is no patch to git.
    patch: filesChanged > 0 && patch !== undefined ? patch : null,
    ...(truncated && { truncated }),
    files_changed: filesChanged,
    insertions,
    deletions,
    commits,
  };
}
