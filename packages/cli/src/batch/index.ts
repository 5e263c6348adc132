export { collectTasks } from './collect.ts';
export { executeBatch, type BatchEnd, type BatchListener } from './execute.ts';
export { outputMode, refuseSharedOutputs } from './output-checks.ts';
export { openOutputFile, type OutputFile } from './output-file.ts';
export { refuseUntrustedDirectories } from './trust.ts';
export { createReporter, doneRecord, keptLines, patchLines, sourceLines, summaryLine, type BatchSummary } from './report.ts';
