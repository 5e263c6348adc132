export { parksAfter } from './attempt-verdict.ts';
export { foldJournal, JournalFold, noHistory, type RunHistory } from './fold-journal.ts';
export { isSettled, lostAttempt, unableAttempt } from './lost-attempt.ts';
export { accountOf, isClosed } from './provider-gates.ts';
export { planResume } from './plan-resume.ts';
export type { Planned, PlannedTask, ResumeDecision, ResumeLine, ResumePlan, ResumePolicy, SourceTask } from './resume.types.ts';
export { countPlan, countRecords, countTasks } from './run-counts.ts';
export { defaultRunSettings, runMachine } from './run.machine.ts';
export type {
  AttemptEnd,
  Ending,
  Flight,
  ProviderGate,
  RunContext,
  RunCounts,
  RunEffect,
  RunInput,
  RunLimits,
  RunMachineEvent,
  RunSettings,
  RunTask,
  RunTimer,
  SetupFailures,
  Taken,
  TaskPlace,
  ToldEnd,
} from './run.types.ts';
export { addSpent, nothingSpent, takenBy, usualOf } from './spent.ts';
export { orderProblem } from './task-order.ts';
export { applyEvent, newRecord, suspectDeaths, type AttemptSummary, type OpenAttempt, type TaskRecord } from './task-record.ts';
export { entries, find, type TaskTable } from './task-table.ts';
