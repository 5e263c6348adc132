export { carryOut } from './carry-out.ts';
export { executeBatch, type BatchEnd, type BatchListener } from './execute.ts';
export { newRequest, resumedRequest } from './request.ts';
export { withReporters } from './reporters.ts';
export { createReporter, doneRecord, patchLines, sourceLines, summaryLine } from './report.ts';
export { Tally, type BatchSummary } from './tally.ts';
