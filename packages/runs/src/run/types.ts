import type { Outcome, SessionPoolOptions, Task, TaskResult } from '@opencode-manager/actors';
import type { ServerConfig } from '@opencode-manager/core';
import type { WorkspaceFacts } from '../identity/task-hash.ts';
import type { JournalRow, RunEnded } from '../journal/events.ts';
import type { ResumeLine, ResumePolicy, RunCounts, RunSettings } from '../machine/index.ts';

/** A task of a run: what a pool takes, and what a run adds. */
export interface RunTaskSpec extends Task {
  /** Keys of tasks that have to succeed first. */
  readonly after?: readonly string[];
  /** Further attempts after failures of its own (`failed`, `stalled`, `timed_out`). Default 0. */
  readonly retries?: number;
}

export interface RunOptions {
  /** All of them, in the order in which they start. A resume takes them again, as the source has them now. */
  readonly tasks: readonly RunTaskSpec[];
  /** Where the run is started: any directory of a repository, or any directory. Default: that of the server. */
  readonly directory: string;
  /** The isolated server that the run starts; its state lies in the directory of the run. */
  readonly server: Omit<ServerConfig, 'directory' | 'stateDir' | 'deleteStateOnExit'>;
  /** Of the pool: limits of turns, permissions, model, agent, workspaces. The run decides about attempts and restarts. */
  readonly pool?: Omit<
    SessionPoolOptions,
    'server' | 'monitor' | 'maxSessions' | 'sessions' | 'recovery' | 'onInterrupted' | 'repeat' | 'restartBudget' | 'signal'
  >;
  readonly settings?: Partial<RunSettings>;
  /** Stands in the name of the run. */
  readonly title?: string;
  /** In place of `<top level>.ocm/<id>` beside the repository. */
  readonly runDir?: string;
  /** Path of the file that the tasks came from; resuming reads it again. */
  readonly source?: string;
  readonly argv?: readonly string[];
  /** Where a task works, as far as that can change its answer. Default: in its directory itself. */
  readonly workspaceOf?: (task: RunTaskSpec) => WorkspaceFacts;
  /** Whether each attempt leaves a transcript. Default true. */
  readonly transcripts?: boolean;
  /** Hears what went wrong beside the tasks, in sentences: a transcript that could not be written. */
  readonly onNote?: (note: string) => void;
}

export interface ResumeOptions extends Omit<RunOptions, 'runDir' | 'title'>, ResumePolicy {
  /** The directory of the run. */
  readonly run: string;
  /** Also when its last holder was on another machine and did not let go of it. */
  readonly takeOver?: boolean;
}

/** How a run ended, for as long as this manager had it. */
export interface RunSummary {
  readonly reason: RunEnded['reason'];
  /** A sentence; null when the reason says it all. */
  readonly why: string | null;
  readonly counts: RunCounts;
}

/** The final result of a task. `reused`: it had succeeded before this manager. */
export interface FinalResult {
  readonly key: string;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly result: TaskResult;
  readonly reused: boolean;
}

/**
 * A run under this manager: a set of tasks that is carried to its end. Its directory says all of it; who looks at it needs nothing of this object.
 * @public
 */
export interface Run extends AsyncDisposable {
  readonly id: string;
  /** Absolute path of its directory. */
  readonly path: string;
  /** What became of each task when it was opened, and why. */
  readonly plan: readonly ResumeLine[];
  /** Resolves when the manager lets go of it. Never rejects for what happens to tasks. */
  readonly ended: Promise<RunSummary>;
  counts(): RunCounts;
  /** Final results, reused ones first, then in the order in which they are committed, until the run has ended. */
  results(): AsyncIterableIterator<FinalResult, undefined>;
  /** Rows of the journal after a number, until the run has ended: what is known, then what comes. */
  events(afterSequence?: number): AsyncIterableIterator<JournalRow, undefined>;
  /** Starts no attempt any more; what runs comes to its end. */
  drain(): void;
  /** Ends what runs; its tasks run again when the run is resumed. */
  abort(reason: string): void;
}
