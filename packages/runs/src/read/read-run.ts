import { runLayout } from '../directory/layout.ts';
import { readRunFile, type RunFile } from '../directory/run-file.ts';
import { readTaskLines, type TaskLine } from '../directory/task-lines.ts';
import type { JournalRow } from '../journal/events.ts';
import type { RunHistory } from '../machine/fold-journal.ts';
import { noteHolder, type NotedHolder } from './holder.ts';
import { JournalReader } from './journal-reader.ts';

/** What the files of a run say, at one moment. */
export interface RunReading {
  /** Of its directory. */
  readonly path: string;
  readonly run: RunFile;
  /** The newest line of each task, by its key; a task is there before the journal names it. */
  readonly tasks: ReadonlyMap<string, TaskLine>;
  /** All but the results themselves; see `resultsOf`. */
  readonly history: RunHistory;
  /** The newest rows, in their order. */
  readonly lastRows: readonly JournalRow[];
  readonly holder: NotedHolder;
}

export interface ReadRunOptions {
  /** How many of the newest rows are given. Default: 20. */
  readonly lastRows?: number;
}

/**
 * Reads a run from its directory, while another process has it or not. Nothing is written, and its lock is not touched. Results are not held
 * in memory.
 * @throws `RUN_UNREADABLE` naming the file that is missing, damaged, or of a newer version
 * @example
 * const { run, history, holder } = await readRun('/home/me/project.ocm/20261128T171500Z-tasks-1f3a')
 * console.log(run.id, history.endedBecause, holder.standing)
 * @public
 */
export async function readRun(path: string, { lastRows = 20 }: ReadRunOptions = {}): Promise<RunReading> {
  const layout = runLayout(path);
  const run = await readRunFile(layout.runFile);
  // Before the journal: who lets go of the run writes the row of its end first.
  const holder = await noteHolder(layout.lockNote);
  using journal = new JournalReader(layout.journal);
  const history = journal.history();
  const newest = journal.newest(lastRows);
  const tasks = new Map((await readTaskLines(layout.tasks)).map((line) => [line.key, line]));
  return { path, run, tasks, history, lastRows: newest, holder };
}

/** Whether a process has a run, or may have it. */
export function isHeld({ standing }: NotedHolder): boolean {
  return standing === 'alive' || standing === 'elsewhere';
}
