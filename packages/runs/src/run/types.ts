import type { Outcome, SessionPool, SessionPoolOptions, Task, TaskResult, TaskWorkspaceResult } from '@opencode-manager/actors';
import type { ServerConfig } from '@opencode-manager/core';
import type { SerializedError } from '@opencode-manager/core/errors';
import type { RunFile } from '../directory/run-file.ts';
import type { OutputSchema } from '../output/output-schema.ts';
import type { WorkspaceFacts } from '../identity/task-hash.ts';
import type { JournalRow, RunEnded } from '../journal/events.ts';
import type { ResumeLine, ResumePolicy, RunCounts, RunSettings, Taken } from '../machine/index.ts';
import type { RunControl } from './control.types.ts';
import type { RunTotals } from './totals.ts';

/** A task of a run: what a pool takes, and what a run adds. */
export interface RunTaskSpec extends Task {
  /** Keys of tasks that have to succeed first. One that is repeated stands for all of its repeats. */
  readonly after?: readonly string[];
  /** Further attempts after failures of its own (`failed`, `stalled`, `timed_out`). Default 0. */
  readonly retries?: number;
  /** Runs it so often, as `KEY#1`, `KEY#2` and so on. */
  readonly repeat?: number;
  /**
   * The answer is JSON that fits this JSON Schema (2020-12): the whole answer, or its only fenced block. One that does not is corrected in the same
   * session, twice at most; then the task fails with `OUTPUT_INVALID`. The prompt has to ask for it: the schema is told with a correction alone.
   */
  readonly outputSchema?: OutputSchema;
}

export interface RunOptions {
  /** All of them, in the order in which they start. A resume takes them again, as the source has them now. */
  readonly tasks: readonly RunTaskSpec[];
  /** Where the run is started: any directory of a repository, or any directory. */
  readonly directory: string;
  /** The isolated server that the run starts; its state lies in the directory of the run unless `stateDir` names another place. */
  readonly server: Omit<ServerConfig, 'directory' | 'deleteStateOnExit'>;
  /** Of the pool: limits of turns, permissions, model, agent, workspaces. The run decides about attempts and restarts. */
  readonly pool?: Omit<
    SessionPoolOptions,
    'server' | 'monitor' | 'maxSessions' | 'sessions' | 'recovery' | 'onInterrupted' | 'repeat' | 'restartBudget' | 'signal'
  >;
  readonly settings?: Partial<RunSettings>;
  /** Stands in the name of the run. */
  readonly title?: string;
  /** In place of `<top level>.ocm/<id>` beside the repository. `false`: nothing is kept, and the run cannot be resumed. */
  readonly runDir?: string | false;
  /** In place of `<top level>.ocm`: the directory of the run is made in this one. */
  readonly runsIn?: string;
  /** What `run.json` says of how the run was asked for, besides what it says anyway. Plain JSON. */
  readonly facts?: Partial<Pick<RunFile, 'source' | 'argv' | 'configuration' | 'git' | 'base_commits'>>;
  /** Where a task works, as far as that can change its answer. Default: in its directory itself. */
  readonly workspaceOf?: (task: RunTaskSpec) => WorkspaceFacts;
  /**
   * What an attempt of a manager that has died had done in a workspace of its own; null when there is nothing. Asked before its end is told.
   */
  readonly changesOf?: (of: {
    readonly key: string;
    readonly attempt: number;
    readonly task: RunTaskSpec;
  }) => Promise<Partial<TaskWorkspaceResult> | null>;
  /** Whether each attempt leaves a transcript. Default true. */
  readonly transcripts?: boolean;
  /** Hears what went wrong beside the tasks, in sentences: a transcript that could not be written. */
  readonly onNote?: (note: string) => void;
}

export interface ResumeOptions extends Omit<RunOptions, 'runDir' | 'runsIn' | 'title' | 'facts'>, ResumePolicy {
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
  /** What kept the journal from being written, when that is the reason. */
  readonly error: SerializedError | null;
  readonly counts: RunCounts;
  readonly totals: RunTotals;
}

/** The final result of a task. `reused`: it had succeeded before this manager. */
export interface FinalResult {
  readonly key: string;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly result: TaskResult;
  readonly reused: boolean;
}

/** What is decided before anything is started. */
export interface RunPreview {
  /** What becomes of each task, and why. */
  readonly plan: readonly ResumeLine[];
  /** As they stand before the first attempt of this manager. */
  readonly counts: RunCounts;
  /** Whether nothing is left to do. */
  readonly isDone: boolean;
  /** What its attempts have taken so far. */
  readonly spent: Taken;
  /** What the tasks that are left are expected to take, by the median of those before; null when there was none. */
  readonly expected: Taken | null;
}

/** A run whose directory is made, or taken up, and locked; no server runs yet. */
export interface PreparedRun extends RunPreview, AsyncDisposable {
  readonly id: string;
  /** Absolute path of its directory; undefined for a run that keeps nothing. */
  readonly path: string | undefined;
  /** For the pool that it runs on: with the configuration of the server, and without what only its owner knows. */
  readonly pool: SessionPoolOptions & { readonly server: ServerConfig };
  /** Starts the tasks. Once. */
  start(options: StartOptions): Promise<Run>;
  /** In place of `start` when nothing is left to do: what there is of the run. Nothing is written. */
  finish(): Promise<Run>;
  /** Lets go of it; a run that did not begin leaves nothing. Nothing happens after `start`. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface StartOptions {
  /** Made with the options of the prepared run, more of them or less. */
  readonly pool: SessionPool;
  /** Stops pool and server when the run has ended. Default: stops the pool. What it throws is not told. */
  readonly stop?: () => Promise<unknown>;
  /** The pool has other work too: its slots are not changed with the concurrency of the run. */
  readonly sharesPool?: boolean;
}

/** A provider account of a run: the id of a provider, for which the server of the run has one credential. */
export interface RunProvider {
  readonly id: string;
  /** Attempts in flight at most; null when nothing bounds them but the concurrency of the run. */
  readonly limit: number | null;
  /** Nothing that asks it starts before this time, in milliseconds since the epoch; null when nothing is held back. */
  readonly heldUntilMs: number | null;
  /** A user has paused it. */
  readonly isPaused: boolean;
  /** Tasks of it in flight, and those that wait, parked ones included. */
  readonly running: number;
  readonly waiting: number;
}

/**
 * A run under this manager: a set of tasks that is carried to its end. Its directory says all of it; who looks at it needs nothing of this object.
 * @public
 */
export interface Run extends AsyncDisposable {
  readonly id: string;
  /** Absolute path of its directory; undefined for a run that keeps nothing. */
  readonly path: string | undefined;
  /** What became of each task when it was opened, and why. */
  readonly plan: readonly ResumeLine[];
  /** Resolves when the manager has let go of it and the server is stopped. Never rejects for what happens to tasks. */
  readonly ended: Promise<RunSummary>;
  counts(): RunCounts;
  /** Final results, reused ones first, then in the order in which they are committed, until the run has ended. */
  results(): AsyncIterableIterator<FinalResult, undefined>;
  /**
   * Rows of the journal after a number (default: all), until the run has ended: what is known, then what comes. They come from the
   * journal, so that nothing is held in memory for a slow reader.
   */
  events(afterSequence?: number): AsyncIterableIterator<JournalRow, undefined>;
  /** The same without those that come. */
  knownEvents(afterSequence?: number): AsyncIterableIterator<JournalRow, undefined>;
  /** Whether it has ended under this manager. */
  hasEnded(): boolean;
  /** Number of the newest row of earlier managers; 0 for a new run. */
  readonly startSequence: number;
  /** What users of it may ask and wish; null for a run that was done already. */
  readonly control: RunControl | null;
  /** Why nothing starts although tasks wait, in words, with how long that is still unless `countdown` is false; null when something may start. */
  holding(options?: { readonly countdown?: boolean }): string | null;
  /** The providers that tasks of the run ask. */
  providers(): readonly RunProvider[];
  /**
   * Starts nothing that asks a provider until it is resumed; what runs comes to its end. Idempotent. It does not outlast this manager.
   * @throws `PROVIDER_UNKNOWN`
   */
  pauseProvider(id: string): void;
  /**
   * Lets a provider go on, whatever holds it back, its quota too: tasks that are parked for it are woken at once. Idempotent.
   * @throws `PROVIDER_UNKNOWN`
   */
  resumeProvider(id: string): void;
  /** Starts no attempt any more; what runs comes to its end. */
  drain(): void;
  /** Ends what runs; its tasks run again when the run is resumed. */
  abort(reason: string): void;
}
