import { join } from 'node:path';
import { slugOf } from '@opencode-manager/workspaces/keep';

/** Names of what lies in the directory of a run. */
export interface RunLayout {
  readonly runFile: string;
  readonly tasks: string;
  readonly journal: string;
  readonly results: string;
  readonly state: string;
  /** An empty file that carries the kernel's lock. Only SQLite may open it: closing it otherwise would end a lock of this process. */
  readonly lock: string;
  /** Who has the lock, for messages. */
  readonly lockNote: string;
  readonly artifacts: string;
}

/** Where the files of a run are. Nothing is looked at. */
export function runLayout(path: string): RunLayout {
  return {
    runFile: join(path, 'run.json'),
    tasks: join(path, 'tasks.jsonl'),
    journal: join(path, 'journal.sqlite'),
    results: join(path, 'results.jsonl'),
    state: join(path, 'state.json'),
    lock: join(path, 'lock'),
    lockNote: join(path, 'lock.json'),
    artifacts: join(path, 'artifacts'),
  };
}

/** Where what an attempt leaves lies: `artifacts/<slug>-<8 hex of key>/<attempt>`. */
export function attemptArtifacts(path: string, key: string, attempt: number): string {
  return join(runLayout(path).artifacts, slugOf(key), String(attempt));
}
