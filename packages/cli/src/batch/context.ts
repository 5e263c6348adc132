import type { PreparedRun } from '@opencode-manager/runs';
import type { Progress } from '../render/index.ts';
import type { StopSignals } from '../signals.ts';
import type { Terminal } from '../terminal/index.ts';
import type { RunWorkspaces } from '../workspaces/index.ts';
import type { JunitOutput } from './junit-output.ts';
import type { OutputFile } from './output-file.ts';
import type { ReportOutput } from './reporters.ts';
import type { BatchPlan } from './run-plan.ts';

/** What the parts of a batch share. */
export interface BatchContext {
  readonly terminal: Terminal;
  readonly plan: BatchPlan;
  readonly prepared: PreparedRun;
  readonly workspaces: RunWorkspaces | undefined;
  readonly out: OutputFile | undefined;
  /** What standard output tells. */
  readonly output: ReportOutput;
  readonly junit: JunitOutput | undefined;
  readonly progress: Progress;
  readonly signals: StopSignals;
  readonly startedAt: number;
}
