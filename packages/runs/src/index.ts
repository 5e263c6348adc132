export { networkFileSystem } from './directory/file-system.ts';
export { findRuns, newestUnfinished, type FoundRun, type UnfinishedRun } from './directory/find-runs.ts';
export { runLayout, type RunLayout } from './directory/layout.ts';
export { emptyTrash, removeRun, runRemains, runsRemaining, type RunRemains } from './directory/remove-run.ts';
export { repairResults, type ResultsRepair } from './directory/results.ts';
export {
  createRunDirectory,
  openRunDirectory,
  type NewRunOptions,
  type OpenRunOptions,
  type RunDirectory,
  type RunDirectoryOptions,
} from './directory/run-directory.ts';
export { readRunFile, type RunFile } from './directory/run-file.ts';
export { runHolder, type RunHolder } from './directory/run-lock.ts';
export { readState, type RunState } from './directory/state-file.ts';
export { readTaskLines, type TaskLine } from './directory/task-lines.ts';
export { canonicalJson } from './identity/canonical-json.ts';
export { digestFiles, type FileDigest, type KnownContents } from './identity/file-digests.ts';
export {
  configurationDigest,
  differingFields,
  taskHash,
  type TaskFacts,
  type TaskHash,
  type WorkspaceFacts,
} from './identity/task-hash.ts';
export { keyTasks, repeatKey, taskKey, type KeyedTask, type OwnFields, type PlacedTask, type TaskPlace } from './identity/task-key.ts';
export { createJournal, openJournal, type JournalOptions } from './journal/sqlite-journal.ts';
export type * from './journal/events.ts';
export { JournalLeases, leaseLost, type JournalLeasesOptions } from './lease/journal-leases.ts';
export { supersededBy, type Lease, type LeasedTask, type LeasePort } from './lease/lease.ts';
export type { OutputSchema } from './output/output-schema.ts';
export type { Redact } from './redact.ts';
export { identifyRun, prepareLeased, type IdentifiedRun, type LeasedHost } from './run/leased-run.ts';
export { openRun, resumeRun } from './run/open-run.ts';
export { digestOfConfiguration, prepareRun, previewRun } from './run/prepare-run.ts';
export { countRecords, isSettled, JournalFold, type TaskRecord } from './machine/index.ts';
export type { ResumeDecision, ResumeLine, RunCounts, RunSettings } from './machine/index.ts';
export { Totals, type RunTotals } from './run/totals.ts';
export type { RunControl, RunStanding, RunWishes, TaskChange, TaskStanding, TaskStandingState } from './run/control.types.ts';
export { taskLine, type IdentifiedTask } from './run/source-tasks.ts';
export type {
  FinalResult,
  PreparedRun,
  ResumeOptions,
  Run,
  RunOptions,
  RunPreview,
  RunProvider,
  RunSummary,
  RunTaskSpec,
  StartOptions,
} from './run/types.ts';
export { transcriptLines, type SessionHistory, type TranscriptLine } from './transcript/lines.ts';
export { renderTranscript } from './transcript/render.ts';
