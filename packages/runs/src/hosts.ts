/**
 * The host of a run's machine, for worlds of one's own: a run that is given time, chance, a store and a pool. `@opencode-manager/simulation`
 * runs the real host this way. Nothing here needs Node.
 */
export type { RunState } from './directory/state-file.ts';
export type * from './journal/events.ts';
export type { OutputCheck } from './output/output-schema.ts';
export { AttemptNames } from './run/attempt-names.ts';
export { finishedRun, openedRun, type OpenedRun } from './run/opened-run.ts';
export type { RunPorts } from './run/ports.ts';
export { Redaction } from './run/redaction.ts';
export { RunHost, type RunHostOptions } from './run/run-host.ts';
export type { RunStore } from './run/store.ts';
export type { FinalResult, Run, RunSummary, RunTaskSpec } from './run/types.ts';
