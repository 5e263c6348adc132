import { mkdir, rm, rmdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { isManagerError } from '@opencode-manager/core/errors';
import { gone, isErrno, namingRoom, unlessMissing, unreadable } from '../errors.ts';
import type { Journal, JournalRow } from '../journal/events.ts';
import { createJournal, openJournal } from '../journal/sqlite-journal.ts';
import { redactNothing, type Redact } from '../redact.ts';
import { AppendFile } from './append-file.ts';
import { refuseNetwork } from './file-system.ts';
import { attemptArtifacts, runLayout } from './layout.ts';
import { makePlace, removePlace } from './place.ts';
import { ResultsFile, type ResultsRepair } from './results.ts';
import { readRunFile, writeRunFile, type RunFile } from './run-file.ts';
import { lockRun } from './run-lock.ts';
import { StateFile, type RunState } from './state-file.ts';
import { readTaskLines, type TaskLine } from './task-lines.ts';

export interface RunDirectoryOptions {
  /** Takes known secrets out of everything that is written here. */
  readonly redact?: Redact;
  /** Told when `state.json` could not be written; nothing depends on it. */
  readonly onStateFailure?: (error: unknown) => void;
}

export interface NewRunOptions extends RunDirectoryOptions {
  /** Where the run is started: any directory of a repository, or any directory. */
  readonly directory: string;
  /** Stands in the name of the run: of the file of tasks, for example. */
  readonly title?: string;
  /** In place of `<top level>.ocm/<id>`: missing or empty. */
  readonly runDir?: string;
  /** In place of `<top level>.ocm`: its directory is made in this one. */
  readonly runsIn?: string;
  /** What `run.json` says besides. */
  readonly facts: Omit<RunFile, 'schema_version' | 'id' | 'created_at' | 'directory' | 'host'>;
  /** Leaves `run.json` to `begin`: before a server runs, not all secrets are known that must not stand in it. Default: false. */
  readonly beginsLater?: boolean;
}

export interface OpenRunOptions extends RunDirectoryOptions {
  /** Also when its last holder was on another machine and did not let go of it. */
  readonly takeOver?: boolean;
}

/** The files of a run, which this process alone writes until `close`. */
export interface RunDirectory extends AsyncDisposable {
  /** Absolute. */
  readonly path: string;
  readonly run: RunFile;
  readonly journal: Journal;
  /** What had to be done to `results.jsonl` when the run was opened. */
  readonly repaired: ResultsRepair;
  /** Writes `run.json` where that was left for later: with it the directory is that of a run. @throws `RUN_STORAGE_FULL`, `RUN_GONE` */
  begin(): Promise<void>;
  /** Appends to `tasks.jsonl`; before the journal names the tasks. @throws `RUN_STORAGE_FULL`, `RUN_GONE` */
  addTasks(tasks: readonly TaskLine[]): Promise<void>;
  /** @throws `RUN_UNREADABLE` */
  readTasks(): Promise<TaskLine[]>;
  /** Appends a line to `results.jsonl` for each row that ends an attempt; after the journal has them. @throws `RUN_STORAGE_FULL`, `RUN_GONE` */
  addResults(rows: readonly JournalRow[]): Promise<void>;
  /** Shows a state in `state.json` within a second; at most 4 KB of it. A function is asked when it is time to write. */
  tellState(state: RunState | (() => RunState)): void;
  /** Makes `artifacts/<slug>-<8 hex of key>/<attempt>` and gives its path. @throws `RUN_STORAGE_FULL`, `RUN_GONE` */
  makeArtifacts(key: string, attempt: number): Promise<string>;
  /** Writes what waits, and lets go of the run. */
  close(): Promise<void>;
  /** Closes it, and removes the files of a run that did not begin. Nothing of a run that has begun goes. */
  discard(): Promise<void>;
}

/**
 * Makes the directory of a new run. `run.json` comes last: a directory without it was never a run.
 * @throws `RUN_DIRECTORY_UNSAFE`, `RUN_EXISTS`, `RUN_LOCKED`, `RUN_STORAGE_FULL`, `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`
 */
export async function createRunDirectory(options: NewRunOptions): Promise<RunDirectory> {
  const { directory, title = '', facts, redact = redactNothing } = options;
  const { id, path } = await makePlace(directory, title, options);
  const host = { hostname: hostname(), platform: process.platform };
  const run: RunFile = { schema_version: 1, id, created_at: new Date().toISOString(), directory: resolve(directory), ...facts, host };
  let opened: RunDirectory | undefined;
  try {
    opened = await openParts(path, options, () => ({ journal: createJournal(runLayout(path).journal, { redact }), run }));
    if (!options.beginsLater) await opened.begin();
    return opened;
  } catch (error) {
    await opened?.close().catch(() => undefined);
    // Another process was faster in the same directory: what is there is its own.
    if (!isManagerError(error, 'RUN_LOCKED')) await removeBegun(path);
    throw error;
  }
}

/** Of a run that did not begin. */
async function removeBegun(path: string): Promise<void> {
  const { runFile, tasks, journal, results, state, lock } = runLayout(path);
  const files = [runFile, tasks, journal, `${journal}-wal`, `${journal}-shm`, results, state, lock];
  for (const file of files) await rm(file, { force: true }).catch(() => undefined);
  await rm(join(path, 'state'), { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
  for (const empty of ['workspaces', 'artifacts']) await rmdir(join(path, empty)).catch(() => undefined);
  await removePlace(path);
}

/**
 * Opens the directory of a run that is there, to go on with it, and brings `results.jsonl` up to its journal.
 * @throws `RUN_UNREADABLE` when it is missing, or its `run.json` or its journal is missing or damaged; `RUN_LOCKED`, `RUN_STORAGE_FULL`,
 * `RUN_DIRECTORY_UNSAFE` on a network file system
 */
export async function openRunDirectory(path: string, options: OpenRunOptions = {}): Promise<RunDirectory> {
  const { redact = redactNothing, takeOver } = options;
  const { runFile, journal, tasks } = runLayout(path);
  if (!(await isDirectory(path))) throw unreadable(path, 'is no directory of a run');
  await refuseNetwork(path);
  const run = await readRunFile(runFile);
  if (!(await stat(tasks).catch(unlessMissing))) throw unreadable(tasks, 'is missing');
  return openParts(path, options, () => ({ journal: openJournal(journal, { redact }), run }), takeOver);
}

interface Begun {
  readonly run: RunFile;
  readonly journal: Journal;
}

/** Takes the lock, and then opens everything; when one part cannot be opened, the others are closed again. */
async function openParts(path: string, options: RunDirectoryOptions, begin: () => Begun, takeOver = false): Promise<RunDirectory> {
  const { redact = redactNothing, onStateFailure } = options;
  const layout = runLayout(path);
  // From the last to the first.
  const closers: (() => Promise<void>)[] = [];
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= closeAll());
  const closeAll = async () => {
    const failures: unknown[] = [];
    for (const one of closers.toReversed()) await one().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  };
  try {
    const lock = await lockRun(path, takeOver);
    closers.push(() => lock.release());
    const { run, journal } = begin();
    closers.push(() => journal.close());
    const tasks = await AppendFile.open(layout.tasks);
    closers.push(() => tasks.close());
    const { file: results, repaired } = await ResultsFile.open(layout.results, journal, redact);
    closers.push(() => results.close());
    const state = new StateFile(layout.state, redact, onStateFailure);
    closers.push(() => state.flush());
    return {
      path,
      run,
      journal,
      repaired,
      async begin() {
        if (!(await stat(layout.runFile).catch(unlessMissing))) await writeRunFile(layout.runFile, run, redact);
      },
      addTasks: (lines) => tasks.append(lines.map((line) => JSON.stringify(redact(line)))),
      readTasks: () => readTaskLines(layout.tasks),
      addResults: (rows) => results.append(rows),
      tellState: (now) => state.tell(now),
      makeArtifacts: (key, attempt) => makeArtifacts(path, attemptArtifacts(path, key, attempt)),
      close,
      async discard() {
        const hasBegun = journal.read().next().done !== true;
        await close();
        if (!hasBegun) await removeBegun(path);
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

async function makeArtifacts(path: string, directory: string): Promise<string> {
  // `recursive` would make the directory of a run anew that somebody has removed.
  if (!(await isDirectory(path))) throw gone(path);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return directory;
  } catch (error) {
    throw isErrno(error, 'ENOENT') ? gone(path) : namingRoom(error, directory);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
