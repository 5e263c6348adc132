import { emptyPlan, type Call, type Plan, type WorldReport } from '../../src/index.ts';
import { runInNode } from '../../src/node/index.ts';

/** What a task was told, in short. */
interface ToldTask {
  readonly outcome: string | undefined;
  readonly code: string | null;
  readonly output: string | undefined;
  /** From its begin to its result, in milliseconds. */
  readonly tookMs: number;
  readonly call: Call;
}

export interface PinnedReport {
  readonly report: WorldReport;
  /** Broken promises, one line each. */
  readonly broken: readonly string[];
  readonly task: (key: string) => ToldTask;
}

/** Runs a plan that is given by what differs from one in which nothing happens. */
export async function runPinned(plan: Partial<Plan>): Promise<PinnedReport> {
  const report = await runInNode({ ...emptyPlan, ...plan });
  return {
    report,
    broken: report.violations.map(({ rule, text }) => `${rule}: ${text}`),
    task(key) {
      const call = report.calls.find(({ task }) => task === key)!;
      const { result, beganAtMs, endedAtMs = Infinity } = call;
      const { outcome, output, error } = result ?? {};
      return { outcome, output, code: error?.code ?? null, tookMs: endedAtMs - beganAtMs, call };
    },
  };
}
