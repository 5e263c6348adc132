export { foldJournal, noHistory, type RunHistory } from './fold-journal.ts';
export { planResume } from './plan-resume.ts';
export type { Planned, PlannedTask, ResumeDecision, ResumeLine, ResumePlan, ResumePolicy, SourceTask } from './resume.types.ts';
export { orderProblem } from './task-order.ts';
export { suspectDeaths, type AttemptSummary, type OpenAttempt, type TaskRecord } from './task-record.ts';
