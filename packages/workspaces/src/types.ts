/**
 * How far a workspace is kept apart. `shared`: not at all, everybody works in the source. `clone`: a repository of its own whose objects
 * are the source's. `worktree`: a tree, an index and a HEAD of its own; refs, stash, configuration and hooks are the source's. `copy`:
 * everything, untracked files too.
 */
export type WorkspaceMode = 'shared' | 'clone' | 'worktree' | 'copy';

/** A shell line that is run in a workspace before it is handed out. */
export interface WorkspaceCommand {
  readonly command: string;
  /** Milliseconds. Default: 600,000. */
  readonly timeoutMs?: number;
}

export interface SetupCommand extends WorkspaceCommand {
  /**
   * Whether the ignored files that the command makes are kept and given to later workspaces with the same lock files, instead of running it
   * again. Never done with files that hold the path of their workspace. Default: true.
   */
  readonly template?: boolean;
}

export interface WorkspaceLimits {
  /** A new or changed file above this many bytes is listed in `leftBehind` and not put into the patch. Default: 50,000,000. */
  readonly fileBytes?: number;
  /** A patch above this many bytes is not written; the ref holds the result. Default: 50,000,000. */
  readonly patchBytes?: number;
  /** Mode `copy` refuses a directory above this many bytes, unless its file system shares blocks. Default: 2,000,000,000. */
  readonly copyBytes?: number;
}

export interface WorkspacesOptions {
  /** A directory in a git repository (a bare one and a linked worktree too), or any directory for `shared` and `copy`. */
  readonly repository: string;
  /** Default: `clone` in git, `copy` elsewhere. */
  readonly mode?: WorkspaceMode;
  /** Names the run in refs, locks and directories: letters, digits, `-`. Default: the time and four random hex digits. */
  readonly run?: string;
  /** Directory of this run. Default: `<top level>.ocm/<run>` beside the repository. */
  readonly root?: string;
  /**
   * Where what setups made is kept for later runs of the same repository. Default: `templates` beside the run's directory, with a `root` in
   * it, where it ends with the run.
   */
  readonly templates?: string;
  /** Where patches and logs go, in `<slug>-<8 hex of key>/<attempt>/`. Default: `artifacts` in the run's directory. */
  readonly artifacts?: string;
  /** Patterns as in `.worktreeinclude`, added to it: ignored files of the source that every workspace gets a copy of. */
  readonly include?: readonly string[];
  /** Whether files in Git LFS are downloaded; otherwise the workspace holds their pointers. Default: false. */
  readonly lfs?: boolean;
  readonly setup?: SetupCommand;
  /** Must end with 0 before a workspace is handed out. */
  readonly ready?: WorkspaceCommand;
  /** The environment of tools: of commands, and of the user's filters in git. Default: PATH, HOME, locale and TMPDIR of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly limits?: WorkspaceLimits;
  /** Told what a user should know and no error says. */
  readonly onNote?: (note: WorkspaceNote) => void;
}

export interface WorkspaceNote {
  readonly code:
    | 'several_in_shared'
    | 'submodule_left_empty'
    | 'include_not_ignored'
    | 'setup_changed_files'
    | 'setup_not_kept'
    | 'history_unreadable'
    | 'found';
  readonly message: string;
  readonly key?: string;
}

export interface AcquireOptions {
  /** Anything that git resolves to a commit in the source. Default: `HEAD`. In mode `copy` the result is compared with the copy itself. */
  readonly base?: string;
  /** Number of the attempt, for callers that count them over several processes. Default: one more than the newest of the key. */
  readonly attempt?: number;
  /** Ends the setup; what was made is removed. */
  readonly signal?: AbortSignal;
}

/** The workspaces of one run. */
export interface Workspaces extends AsyncDisposable {
  readonly run: string;
  readonly mode: WorkspaceMode;
  /** Directory of the run; undefined in mode `shared`. */
  readonly root: string | undefined;
  /**
   * Makes a workspace for a task. The same key again is its next attempt.
   * @throws `WORKSPACE_SOURCE_INVALID`, `WORKSPACE_CREATE_FAILED`, `WORKSPACE_TOO_LARGE`, `WORKSPACE_SETUP_FAILED`, `WORKSPACE_NOT_READY`,
   * `WORKSPACE_GONE`, `WORKSPACES_CLOSED`
   */
  acquire(key: string, options?: AcquireOptions | string): Promise<Workspace>;
  /**
   * Takes up the workspace of an attempt that was released with `keep`, by this process or by one before it, with what was done there.
   * @throws `WORKSPACE_GONE` when it is not there any more, `WORKSPACES_CLOSED`
   */
  reopen(key: string, attempt: number): Promise<Workspace>;
  /** Releases what is still leased, and removes what this run no longer needs. */
  close(): Promise<void>;
}

/** A place for one attempt of one task. */
export interface Workspace extends AsyncDisposable {
  readonly key: string;
  readonly attempt: number;
  readonly mode: WorkspaceMode;
  /** The smallest number that no other workspace of this run has now; from 0. */
  readonly slot: number;
  /** Top of the workspace. */
  readonly path: string;
  /** Where to work: below `path` what `repository` was below its top level. */
  readonly directory: string;
  /** The commit that results are compared with; undefined in mode `shared`. */
  readonly baseCommit: string | undefined;
  /** `OCM_TASK_ID`, `OCM_SLOT`, `OCM_PORT_BASE` (the first of ten ports that were free), `OCM_WORKSPACE`. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Takes the result: a commit under `refs/ocm/`, a patch, statistics. Call it when everything that wrote here has ended. It can be called
   * again. Undefined in mode `shared`.
   * @throws `WORKSPACE_STILL_CHANGING`, `WORKSPACE_GONE`, `WORKSPACE_CAPTURE_FAILED`
   */
  capture(): Promise<Capture | undefined>;
  /**
   * Gives the workspace back. It is removed when its result is safe (it is captured now if it was not), and kept otherwise; the answer says
   * why. Calling it again tries again.
   * @throws as {@link Workspace.capture}, with the workspace left as it is
   */
  release(options?: ReleaseOptions): Promise<Release>;
}

export interface ReleaseOptions {
  /** Captures, and leaves the directory for somebody to look at. */
  readonly keep?: boolean;
  /** Removes it although `leftBehind` names something that no ref holds. */
  readonly discardLeftBehind?: boolean;
}

export interface Release {
  readonly removed: boolean;
  /**
   * Why it was kept: asked for; processes that have their directory there; a change since the last capture; something in `leftBehind`
   * that is not ignored. `gone`: somebody else had removed it.
   */
  readonly reason?: 'keep' | 'processes' | 'changed' | 'left_behind' | 'gone';
  /** Ids of the processes that have their directory there. */
  readonly processes?: readonly number[];
}

export interface FileChange {
  readonly path: string;
  /** Where it was before, for a rename. */
  readonly from?: string;
  readonly status: 'added' | 'modified' | 'deleted' | 'renamed' | 'type_changed';
  /** As git writes it: `100644`, `100755`, `120000` (symlink), `160000` (submodule), `000000`. */
  readonly mode: string;
  /** Lines; undefined for a binary file. */
  readonly insertions: number | undefined;
  readonly deletions: number | undefined;
}

export interface AgentCommit {
  readonly id: string;
  readonly subject: string;
  readonly author: string;
}

/** Something in the workspace that the patch does not hold. */
export interface LeftBehind {
  readonly path: string;
  readonly bytes: number;
  /**
   * `ignored`: new, and ignored by the repository's rules. `nested_repository`: a repository that the base does not have, or files where
   * a submodule was not checked out. `too_large`: above `limits.fileBytes`. `unreadable`, `special` (a FIFO, a socket, a device in the place
   * of a file). `history`: commits or stashes that could not be read.
   */
  readonly reason: 'ignored' | 'nested_repository' | 'too_large' | 'unreadable' | 'special' | 'history';
}

/** What one repository (the source, or a submodule of it) holds as result. */
export interface TreeResult {
  readonly baseCommit: string;
  readonly tree: string;
  /** A commit with this tree whose parent is the base. */
  readonly commit: string;
  readonly ref: string;
  /** The git directory that has the ref. */
  readonly repository: string;
  /** The patch from base to tree, binary, for `git apply`; undefined when it was larger than `limits.patchBytes`. */
  readonly patch: string | undefined;
  readonly truncated: boolean;
  readonly filesChanged: number;
  readonly insertions: number;
  readonly deletions: number;
  readonly files: readonly FileChange[];
  /** From the base to the agent's HEAD, newest first, at most 100. */
  readonly commits: readonly AgentCommit[];
  /** Holds every commit and stash of the agent that nothing else in the source holds; undefined when there is none. */
  readonly historyRef: string | undefined;
}

export interface SubmoduleResult extends TreeResult {
  readonly path: string;
}

export interface Capture extends TreeResult {
  readonly leftBehind: readonly LeftBehind[];
  /** Submodules that differ from the base. */
  readonly submodules: readonly SubmoduleResult[];
  /** Keys whose captures until now changed a file that this one changed. */
  readonly overlapsWith: readonly string[];
  /** Mode `worktree`: what changed in the shared repository meanwhile, by this agent, by another one or by the user. */
  readonly sourceChanges: readonly string[];
}
