import { newRunId } from '@opencode-manager/workspaces/keep';
import type { RunDirectory } from '../directory/run-directory.ts';
import { runLayout } from '../directory/layout.ts';
import type { Journal, JournalEvent, JournalRow } from '../journal/events.ts';
import { JournalReader } from '../read/journal-reader.ts';
import type { Redact } from '../redact.ts';

/** What a run needs of the place where it is kept. A run that keeps nothing has one in memory. */
export interface RunStore extends Pick<RunDirectory, 'begin' | 'journal' | 'addTasks' | 'readTasks' | 'addResults' | 'tellState'> {
  readonly id: string;
  /** Absolute path of the directory of the run; undefined for one that keeps nothing. */
  readonly path: string | undefined;
  /** Makes the directory for what an attempt leaves; undefined where nothing is kept. */
  makeArtifacts(key: string, attempt: number): Promise<string> | undefined;
  /** Rows after a number, closed or not. @throws `RUN_UNREADABLE` when its directory has gone since it was closed */
  rows(afterSequence?: number): Iterable<JournalRow>;
  close(): Promise<void>;
  /** Closes it and removes what a run that did not begin has left. */
  discard(): Promise<void>;
}

export function directoryStore(directory: RunDirectory): RunStore {
  const { path, run, journal } = directory;
  let isClosed = false;
  return {
    id: run.id,
    path,
    journal,
    begin: () => directory.begin(),
    addTasks: (tasks) => directory.addTasks(tasks),
    readTasks: () => directory.readTasks(),
    addResults: (rows) => directory.addResults(rows),
    tellState: (state) => directory.tellState(state),
    makeArtifacts: (key, attempt) => directory.makeArtifacts(key, attempt),
    rows: (after) => (isClosed ? rowsLater(path, after) : journal.read(after)),
    close() {
      isClosed = true;
      return directory.close();
    },
    discard() {
      isClosed = true;
      return directory.discard();
    },
  };
}

function* rowsLater(path: string, after: number | undefined): Generator<JournalRow> {
  // A reader of its own: a connection of SQLite that only reads leaves files beside a journal that nobody has.
  using journal = new JournalReader(runLayout(path).journal);
  yield* journal.rows(after === undefined ? {} : { after });
}

/** Of a run that keeps nothing: its rows live as long as this process. */
export function memoryStore(title: string, redact: Redact): RunStore {
  const rows: JournalRow[] = [];
  const journal: Journal = {
    async append(events: readonly JournalEvent[]) {
      const added = events.map((event, index): JournalRow => ({
        sequence: rows.length + index + 1,
        atMs: Date.now(),
        event: redact(event),
      }));
      rows.push(...added);
      return added;
    },
    *read(after = 0) {
      for (let at = after; at < rows.length; at += 1) yield rows[at]!;
    },
    close: async () => {},
  };
  return {
    id: newRunId(title),
    path: undefined,
    journal,
    begin: async () => {},
    addTasks: async () => {},
    readTasks: async () => [],
    addResults: async () => {},
    tellState: () => {},
    makeArtifacts: () => undefined,
    rows: (after) => journal.read(after),
    close: async () => {},
    discard: async () => {},
  };
}
