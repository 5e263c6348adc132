import type * as NodeSqlite from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A lock file whose lock is the kernel's, taken through SQLite: it goes with its holder, however that ends, and no pid, start time or age
 * has to be judged. The file itself is empty and stays: removing a lock file lets two holders in.
 */
export interface FileLock {
  release(): void;
}

type Sqlite = typeof NodeSqlite;

let sqlite: Sqlite | undefined;

/** `node:sqlite`. Node 22 calls it experimental; that warning alone is kept from the user. */
export function loadSqlite(): Sqlite {
  sqlite ??= quietlyLoaded();
  return sqlite;
}

function quietlyLoaded(): Sqlite {
  const own = Object.getOwnPropertyDescriptor(process, 'emitWarning')!;
  const emit = process.emitWarning.bind(process) as (...all: readonly unknown[]) => void;
  process.emitWarning = (...all: readonly unknown[]) => {
    if (!String(all[0]).includes('SQLite')) emit(...all);
  };
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    Object.defineProperty(process, 'emitWarning', own);
  }
}

/** Takes the lock, or gives undefined when somebody has it. */
export function tryLock(path: string): FileLock | undefined {
  const database = new (loadSqlite().DatabaseSync)(path);
  try {
    // Without a journal in memory there would be a second file.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return { release: () => unlock(database) };
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === busy) return undefined;
    throw error;
  }
}

const busy = 5;

function unlock(database: NodeSqlite.DatabaseSync): void {
  database.exec('ROLLBACK');
  database.close();
}

const queues = new Map<string, Promise<unknown>>();

/**
 * Does work under a lock: one at a time in this process, in the order of the calls, and one process at a time. It waits as long as it takes:
 * to go on after a while would be to have no lock.
 */
export async function underLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const turn = (queues.get(path) ?? Promise.resolve()).then(() => withFileLock(path, work));
  const settled = turn.catch(() => {});
  queues.set(path, settled);
  try {
    return await turn;
  } finally {
    if (queues.get(path) === settled) queues.delete(path);
  }
}

async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  let lock = tryLock(path);
  // Chance keeps processes that wait from asking in step.
  for (; lock === undefined; lock = tryLock(path)) await sleep(5 + Math.random() * 20);
  try {
    return await work();
  } finally {
    lock.release();
  }
}
