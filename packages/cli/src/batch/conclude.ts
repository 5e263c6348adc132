import { existsSync } from 'node:fs';
import { outcomes, type Outcome } from '@opencode-manager/actors';
import { isManagerError, OpencodeManagerError, toManagerError, type StopReport } from '@opencode-manager/core';
import type { RunCounts, RunSummary } from '@opencode-manager/runs';
import { exitCodeOf, exitCodes, type ExitCode } from '../exit-codes.ts';
import { reportError } from '../report-error.ts';
import { runName } from '../run-view/run-name.ts';
import type { KeptWorkspace } from '../workspaces/index.ts';
import type { BatchContext } from './context.ts';
import type { FollowedRun } from './follow-run.ts';
import { errorCommand } from './github.ts';
import { runOnDone } from './on-done.ts';
import { doneRecord, summaryLines } from './report.ts';
import type { BatchSummary, RunPart } from './tally.ts';

/** What the end of a run needs of its beginning, here or on another process's server. */
export type ConcludeContext = Pick<
  BatchContext,
  'terminal' | 'progress' | 'signals' | 'startedAt' | 'workspaces' | 'out' | 'output' | 'junit'
> & {
  readonly plan: Pick<BatchContext['plan'], 'tasks'> & { readonly request: Pick<BatchContext['plan']['request'], 'flags'> };
  readonly prepared: Pick<BatchContext['prepared'], 'id' | 'path' | 'counts' | 'plan'> & {
    /** Its name in the queue whose workers carry it out. */
    readonly queueRun?: string;
  };
};

export interface BatchEnding {
  readonly followed: FollowedRun;
  readonly kept: readonly KeptWorkspace[];
  /** How the server was stopped; undefined when none was started. */
  readonly stopped: StopReport | OpencodeManagerError | undefined;
}

/** Tells how it all ended, and gives the exit code. */
export async function conclude(context: ConcludeContext, { followed, kept, stopped }: BatchEnding): Promise<ExitCode> {
  const { terminal, plan, progress, signals, startedAt, workspaces, prepared, output } = context;
  const { flags } = plan.request;
  const { summary, failure, tally, pool } = followed;
  const incomplete = isManagerError(stopped) ? stopped : undefined;
  const problems = [failure, endProblem(summary), incomplete, await closeOutput(context), await writeJunit(context)].filter(
    (problem) => problem !== undefined,
  );
  // Of a run that could not be started what there was before.
  const standing = summary?.counts ?? prepared.counts;
  const counts = countsOf(standing);
  const { notStarted, total } = standing;
  const succeeded = notStarted === 0 && counts.succeeded === total;
  const exitCode = signals.exitCode ?? (problems[0] ? exitCodeOf(problems[0].code) : codeOf(succeeded, summary));
  const told: BatchSummary = {
    total,
    counts,
    tally,
    notStarted,
    ...pool,
    durationMs: performance.now() - startedAt,
    stop: isManagerError(stopped) ? undefined : (stopped ?? { stateDeleted: true }),
    signal: signals.signal,
    exitCode,
    patches: workspaces?.patches,
    kept,
    groups: tally.groups(plan.tasks),
    ...(summary && { run: runPart(context, summary) }),
  };
  progress[Symbol.dispose]();
  for (const problem of problems) {
    reportError(terminal, problem, { json: flags.json === true });
    if (output === 'github') terminal.result(errorCommand('ocm', `${problem.code}: ${problem.message}`));
  }
  const record = doneRecord(told);
  if (flags.json) terminal.record(record);
  for (const line of summaryLines(told)) terminal.notice(line);
  if (flags.onDone !== undefined && prepared) await runOnDone(terminal, flags.onDone, record);
  return exitCode;
}

/** A limit of the run that kept tasks from being run is told apart from tasks that failed. */
function codeOf(succeeded: boolean, summary: RunSummary | undefined): ExitCode {
  if (succeeded) return exitCodes.ok;
  return summary?.reason === 'over_budget' || summary?.reason === 'timed_out' ? exitCodes.overBudget : exitCodes.failed;
}

function countsOf(counts: RunCounts): Record<Outcome, number> {
  return Object.fromEntries(outcomes.map((outcome) => [outcome, counts.outcomes[outcome] ?? 0])) as Record<Outcome, number>;
}

/** What ended the run before its tasks, as an error with the exit code that belongs to it. */
function endProblem(summary: RunSummary | undefined): OpencodeManagerError | undefined {
  if (!summary) return undefined;
  const { reason, why, error } = summary;
  if (reason === 'restarts_spent') return new OpencodeManagerError('RESTART_BUDGET_SPENT', why ?? 'The server was lost too often.');
  if (error) return OpencodeManagerError.from(error);
  if (reason === 'storage_full') return new OpencodeManagerError('RUN_STORAGE_FULL', why ?? 'There was no room for the journal.');
  if (reason === 'failed') return new OpencodeManagerError('INTERNAL', why ?? 'The run could not go on.');
  return undefined;
}

function runPart({ prepared }: ConcludeContext, { reason, why, counts, totals }: RunSummary): RunPart {
  const { path, id, queueRun } = prepared;
  // One whose directory was removed is not gone on with, nor looked at.
  const name = path === undefined || !existsSync(path) ? undefined : runName(id, path);
  const { skipped, reused, dropped, succeededFirstTry, succeededAfterRetry } = counts;
  const isProblem = reason === 'restarts_spent' || reason === 'storage_full' || reason === 'failed';
  return {
    id,
    path: path ?? null,
    reason,
    // Told as an error of its own otherwise.
    why: isProblem ? null : why,
    skipped,
    reused,
    dropped,
    succeededFirstTry,
    succeededAfterRetry,
    totals,
    name,
    ...(queueRun !== undefined && { queueRun }),
  };
}

async function closeOutput({ out, signals }: ConcludeContext): Promise<OpencodeManagerError | undefined> {
  try {
    // The next signal ends the wait for a reader.
    await out?.close(signals.drain.aborted ? signals.abort : signals.drain);
    return undefined;
  } catch (error) {
    return toManagerError(error);
  }
}

async function writeJunit({ junit, terminal, prepared }: ConcludeContext): Promise<OpencodeManagerError | undefined> {
  try {
    await junit?.write(terminal, prepared);
    return undefined;
  } catch (error) {
    return toManagerError(error);
  }
}
