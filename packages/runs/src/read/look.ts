// Small on purpose: nothing here loads SQLite or a schema, so that a glance at a run costs little more than a start of node.
export type { RunState } from '../directory/state-file.ts';
export { locateRun, runDirectories } from './locate-run.ts';
export { lookAtRun, statusByJournal, type RunLook, type RunStatus } from './look-at-run.ts';
