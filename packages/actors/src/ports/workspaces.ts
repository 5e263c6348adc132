import type { TaskWorkspaceResult } from '../task/types.ts';

/** What a place is wanted for. */
export interface WorkspaceRequest {
  /** What it is made of: the directory that the task names, or the server's. */
  readonly directory: string;
  /** What the task, or else the pool, says of its workspace. Undefined: the source's own choice. */
  readonly mode: string | undefined;
  /** Number of the attempt, where its caller counts them; else the source counts by itself. */
  readonly attempt?: number;
  /** Ends the making; what was made is removed. */
  readonly signal: AbortSignal;
}

/** Gives each attempt of a task a place of its own. */
export interface WorkspaceSource {
  /**
   * Makes a place; the same key again is the task's next attempt. What it throws fails the attempt, with its code when it is an
   * `OpencodeManagerError`; nothing was sent then.
   */
  acquire(key: string, request: WorkspaceRequest): Promise<LeasedWorkspace>;
  /**
   * Takes up the place of an attempt that was left with `park`, by this process or by one before it. Absent where none can be.
   * @throws `WORKSPACE_GONE`
   */
  reopen?(key: string, request: WorkspaceRequest): Promise<LeasedWorkspace>;
}

/** A place for one attempt of one task. */
export interface LeasedWorkspace {
  /** Where the session works; an absolute path. */
  readonly directory: string;
  /** Variables that the tools of its sessions see, sub-agents' too, over all others. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Takes what was done there; null when there is nothing to take. Called when the turn is over and its tools have ended, perhaps more
   * than once.
   */
  capture(): Promise<TaskWorkspaceResult | null>;
  /**
   * Takes the place back, captured or not. Called once, when no server knows the directory any more. What is removed and what stays is the
   * source's to decide.
   */
  release(): Promise<void>;
  /** In place of `release`: leaves it as it is for `reopen`. Absent where that cannot be. */
  park?(): Promise<void>;
}
