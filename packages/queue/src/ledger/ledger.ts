import type { JournalEvent, JournalRow } from '@opencode-manager/runs';

/** A run as it is put into a queue. */
export interface NewQueuedRun {
  /** The user's name for it: letters, digits, `.`, `_`, `-`. */
  readonly name: string;
  /** What hosts need to know of all tasks, as JSON text. */
  readonly manifest: string;
  /** Each task by its key, as JSON text. */
  readonly tasks: ReadonlyMap<string, string>;
  /** The first rows of its journal; they name each task. */
  readonly events: readonly JournalEvent[];
}

/** What users wish of a run. */
export interface QueuedWishes {
  readonly isPaused: boolean;
  readonly isCancelled: boolean;
  /** Keys of tasks that are not wanted any more. */
  readonly cancelled: readonly string[];
}

export interface QueuedRun {
  readonly name: string;
  readonly manifest: string;
  readonly createdAtMs: number;
  /** Number of its newest row. */
  readonly lastSequence: number;
  readonly isPaused: boolean;
  readonly isCancelled: boolean;
}

/** What a host learns when it takes a task. */
export interface Claim {
  /** Above that of every claim of the run before. */
  readonly token: number;
  /** The task, as JSON text. */
  readonly task: string;
  readonly rows: readonly JournalRow[];
}

/** Who writes rows: the holder of a claim. */
export interface Writer {
  readonly run: string;
  readonly key: string;
  readonly token: number;
  /** Counts the writes of a claim from 1: one that is sent again, because its answer was lost, is kept once. */
  readonly batch: number;
}

/** A file that an attempt has left. */
export interface QueuedFile {
  readonly name: string;
  readonly bytes: number;
  /** null: it was too large for the queue, or lies in a directory that all hosts see. */
  readonly content: Uint8Array | null;
  /** Where it lies there; null when there is none. */
  readonly path: string | null;
}

export interface FileOf {
  readonly run: string;
  readonly key: string;
  readonly attempt: number;
}

/** A host that drains queues, as it has told last. */
export interface WorkerBeat {
  readonly id: string;
  /** JSON text. */
  readonly told: string;
}

/**
 * The journals of runs that many hosts have, in an engine that survives them. Every call is atomic. Guarantees:
 * - `sequence` counts the rows of a run from 1 without gaps;
 * - `write` keeps rows under the newest token of a task alone, and under an older one keeps what supersedes them;
 * - what has been answered survives the hosts; whether it survives the engine is the engine's setting (see docs/scale-out.md).
 */
export interface Ledger extends AsyncDisposable {
  /** Puts a run in. False when it is there already: nothing is changed then. */
  begin(run: NewQueuedRun): Promise<boolean>;
  run(name: string): Promise<QueuedRun | undefined>;
  /** Names of all runs. */
  runs(): Promise<readonly string[]>;
  /** All tasks of a run by their keys, as JSON text. */
  tasks(run: string): Promise<ReadonlyMap<string, string>>;
  /** Undefined when the run or the task is not there, or the task was submitted again since. */
  claim(run: string, key: string, submission: number): Promise<Claim | undefined>;
  /** False when the token is not the newest: `superseded` is kept in place of `events`. */
  write(writer: Writer, events: readonly JournalEvent[], superseded: readonly JournalEvent[]): Promise<boolean>;
  /** Rows of users and collectors. With `ifLast` only when no row came after that number; false otherwise. */
  append(run: string, events: readonly JournalEvent[], ifLast?: number): Promise<boolean>;
  /** Rows after a number, in order, at most so many. */
  rows(run: string, after: number, limit: number): Promise<readonly JournalRow[]>;
  steer(run: string, wish: { readonly isPaused?: boolean; readonly isCancelled?: boolean }): Promise<void>;
  /** Marks tasks that are not wanted any more, or with `false` wanted again. */
  unwant(run: string, keys: readonly string[], isUnwanted?: boolean): Promise<void>;
  wishes(run: string): Promise<QueuedWishes>;
  /** Submits tasks again: jobs of earlier submissions count no more. */
  resubmit(run: string, keys: readonly string[]): Promise<void>;
  /** How often tasks were submitted; one that is not named was submitted once. */
  submissions(run: string): Promise<Readonly<Record<string, number>>>;
  /** Of a run that is not there any more nothing is kept. */
  putFile(of: FileOf, file: QueuedFile): Promise<void>;
  files(of: FileOf): Promise<readonly QueuedFile[]>;
  /** Nothing that asks the provider starts on any host before this time, in milliseconds since the epoch; 0 lets it go on. */
  hold(provider: string, untilMs: number): Promise<void>;
  /** Providers that are held, with the times. */
  holds(): Promise<Readonly<Record<string, number>>>;
  /** A host is there, for so many milliseconds. */
  beat(worker: WorkerBeat, forMs: number): Promise<void>;
  workers(): Promise<readonly WorkerBeat[]>;
  /** Removes a run, and all that is kept of it. */
  remove(run: string): Promise<void>;
  /** What may lose what it has answered, in a sentence; undefined when nothing is known against it. */
  doubt(): Promise<string | undefined>;
}
