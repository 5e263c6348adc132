// What looks at runs needs nothing of what carries them: no pool, no server, no machine.
export { attemptArtifacts, runLayout, type RunLayout } from '../directory/layout.ts';
export type { RunFile } from '../directory/run-file.ts';
export type { RunHolder } from '../directory/run-lock.ts';
export type { TaskLine } from '../directory/task-lines.ts';
export type { AttemptEnded, JournalEvent, JournalRow, RunEnded } from '../journal/events.ts';
export type { RunHistory } from '../machine/fold-journal.ts';
export type { TaskRecord } from '../machine/task-record.ts';
export type { HolderStanding, NotedHolder } from './holder.ts';
export { JournalReader, type RowsWanted } from './journal-reader.ts';
export { isHeld, readRun, type ReadRunOptions, type RunReading } from './read-run.ts';
export { readTranscript } from './read-transcript.ts';
export { readingsOf, resultsOf, type NoResultReading, type ResultReading, type TaskReading } from './results-of.ts';
export { statusOfRun } from './run-end.ts';
export { countStates, taskState, type StateCounts, type TaskState } from './task-state.ts';
export type { TranscriptLine } from '../transcript/lines.ts';
export { renderTranscript } from '../transcript/render.ts';
