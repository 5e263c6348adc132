export { ServedRuns } from './served-runs.ts';
export { submitRun } from './submit.ts';
