// Small on purpose: nothing here starts git, so that a command which looks at a run begins fast.
export { loadSqlite, tryLock, type FileLock } from './lock.ts';
export { makeRoot, newRunId, runsBeside, slugOf, type RootOptions, type RootRefusal } from './root.ts';
