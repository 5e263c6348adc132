import { outcomes, type TaskResult } from '@opencode-manager/actors';
import type { Redactor } from '@opencode-manager/core';
import {
  formatBytes,
  formatCost,
  formatCount,
  formatDuration,
  oneLine,
  plural,
  printable,
  tokensOf,
  type Progress,
} from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import type { BatchListener } from './execute.ts';
import type { JunitOutput } from './junit-output.ts';
import type { OutputFile } from './output-file.ts';
import { printerOf } from './printers.ts';
import { reasonOf } from './reason.ts';
import type { ReportOutput } from './reporters.ts';
import type { BatchSummary, RunPart } from './tally.ts';

export interface ReporterOptions {
  readonly terminal: Terminal;
  readonly progress: Progress;
  readonly output: ReportOutput;
  /** True when there is one task only: its answer alone is the result. */
  readonly single: boolean;
  readonly out?: OutputFile | undefined;
  readonly junit?: JunitOutput | undefined;
}

export interface Reporter extends BatchListener {
  /** An attempt has ended, and another one follows. */
  retried(result: TaskResult): void;
  /** A task is not run, because of another one, or with null because a user wants no more of it. */
  skipped(id: string, blockedBy: string | null): void;
  /** A task that had come to its end is tried again. */
  requeued(id: string, outcome: string): void;
}

/** Turns what happens in a batch into progress, results on standard output, and what goes into files. */
export function createReporter({ terminal, progress, output, single, out, junit }: ReporterOptions): Reporter {
  const printer = printerOf(output, { terminal, progress, single });
  return {
    retried(told) {
      const result = withoutSecrets(told, terminal.redactor);
      const { id, outcome, error } = result;
      progress.retried(id, `${outcome}${error ? `: ${error.message}` : ''}`);
      printer.retried?.(result);
    },
    skipped(id, blockedBy) {
      progress.skipped(id, blockedBy);
      printer.skipped?.(id, blockedBy);
      junit?.skipped(id, blockedBy);
    },
    requeued(id, outcome) {
      progress.requeued(id, outcome);
      printer.requeued?.(id, outcome);
    },
    started(task) {
      progress.started(task.id);
      printer.started?.(task);
    },
    waiting: (id, reason) => progress.waiting(id, reason),
    finished(told) {
      // Before anything is cut off: half a secret would not be recognised.
      const result = withoutSecrets(told, terminal.redactor);
      const detail = result.outcome === 'succeeded' ? result.output : reasonOf(result);
      const printed = output === 'default' && terminal.streams.stdout.isTTY === true;
      progress.finished({
        id: result.id,
        outcome: result.outcome,
        durationMs: result.duration_ms,
        detail,
        printed,
        tokens: tokensOf(result.usage),
        costUsd: result.cost_usd,
      });
      printer.finished?.(result);
      out?.write(result);
      junit?.finished(result);
    },
  };
}

/** A result as it may be shown: `redacted` counts the secrets that were taken out, and is absent when there was none. */
function withoutSecrets(result: TaskResult & { readonly redacted?: number }, redactor: Redactor): TaskResult {
  const { value, redacted } = redactor.counted(result);
  return redacted === 0 ? value : Object.assign({}, value, { redacted: redacted + (result.redacted ?? 0) });
}

/** The last record of `ocm run --json`. */
export function doneRecord(summary: BatchSummary): object {
  const {
    total,
    counts,
    tally,
    notStarted,
    gaps,
    restarts,
    serverRestarts,
    durationMs,
    stop,
    signal,
    exitCode,
    patches,
    kept = [],
    groups = [],
    run,
  } = summary;
  return {
    type: 'done',
    total,
    ...counts,
    ...(run && { skipped: run.skipped }),
    not_started: notStarted,
    ...(run && runRecord(run)),
    usage: run?.totals.usage ?? tally.usage,
    cost_usd: run ? run.totals.costUsd : tally.costUsd,
    ...(run && { known_cost_usd: run.totals.knownCostUsd, attempts: run.totals.attempts, parked_ms: run.totals.parkedMs }),
    duration_ms: Math.round(durationMs),
    gaps,
    restarts,
    server_restarts: serverRestarts,
    signal: signal ?? null,
    exit_code: exitCode,
    clean: stop !== undefined,
    state_deleted: stop?.stateDeleted ?? false,
    ...(groups.length > 0 && { groups }),
    ...(patches && { patches }),
    ...(kept.length > 0 && { kept_workspaces: kept.map(({ key, ...workspace }) => Object.assign({ id: key }, workspace)) }),
  };
}

function runRecord({ id, path, reason, why, reused, dropped, succeededFirstTry, succeededAfterRetry }: RunPart): object {
  return {
    reused,
    dropped,
    succeeded_first_try: succeededFirstTry,
    succeeded_after_retry: succeededAfterRetry,
    run: id,
    run_dir: path,
    reason,
    why,
  };
}

/** `7 of 8 tasks succeeded, 1 failed; 1,234 tokens; 3.2 s` */
export function summaryLine({ total, counts, tally, notStarted, durationMs, run }: BatchSummary): string {
  const others = outcomes
    .filter((outcome) => outcome !== 'succeeded' && counts[outcome] > 0)
    .map((outcome) => `${counts[outcome]} ${outcome}`);
  if (run && run.skipped > 0) others.push(`${run.skipped} skipped`);
  if (notStarted > 0) others.push(`${notStarted} not started`);
  if (run && run.reused > 0) others.push(`${run.reused} of them from before`);
  if (run && run.dropped > 0) others.push(`${run.dropped} dropped`);
  const tokens = tokensOf(run?.totals.usage ?? tally.usage);
  const cost = run ? run.totals.costUsd : tally.costUsd;
  const head = `${formatCount(counts.succeeded)} of ${plural(total, 'task')} succeeded`;
  const spent = [`${formatCount(tokens)} tokens`, ...(cost === null || cost === 0 ? [] : [formatCost(cost)])];
  return [[head, ...others].join(', '), ...spent, formatDuration(durationMs)].join('; ');
}

/** All that is told at the end: how many, what went wrong, where the patches and the run are, and what stays. */
export function summaryLines(summary: BatchSummary): string[] {
  const parts = [groupLines, failureLines, patchLines, sourceLines, keptLines, runLines];
  return [summaryLine(summary), ...parts.flatMap((part) => part(summary))];
}

function groupLines({ groups = [] }: BatchSummary): string[] {
  const lines = groups
    .slice(0, mostNamed)
    .map(({ group, total, succeeded }) => `  ${group}: ${formatCount(succeeded)} of ${formatCount(total)} succeeded`);
  return groups.length > mostNamed ? [...lines, `  and ${formatCount(groups.length - mostNamed)} more groups`] : lines;
}

/** The failures, the worst first, each with its reason. */
function failureLines({ tally, total }: BatchSummary): string[] {
  const { told, more } = tally.failures();
  // Of one task all is said already.
  if (told.length === 0 || total === 1) return [];
  const lines = told.map(({ id, outcome, reason }) => printable(`  ${oneLine(id, 40)}  ${outcome}  ${oneLine(reason, 160)}`));
  return [...lines, ...(more > 0 ? [`  and ${formatCount(more)} more`] : [])];
}

/** Where the run lies, and the commands that show more of it, or go on with it. */
function runLines({ run, counts, total, notStarted }: BatchSummary): string[] {
  if (!run || run.path === null || run.name === undefined) return run?.why ? [printable(run.why)] : [];
  const name = printable(run.name);
  const failed = total - notStarted > counts.succeeded;
  return [
    ...(run.why === null ? [] : [printable(run.why)]),
    `Run: ${printable(run.path)}`,
    ...(failed ? [`To see more: ocm results ${name} --failed, ocm show ${name} KEY`] : []),
    ...(run.queueRun === undefined
      ? goingOn(run.reason, name, notStarted, failed)
      : goingOnThere(run.reason, run.queueRun, notStarted, failed)),
  ];
}

/** `Patches: 7, with 12 files (+34 -5), in /srv/repo.ocm/20260101T000000Z-1a2b/artifacts` */
/** With what is left, or again with what failed. */
function goingOn(reason: string, name: string, notStarted: number, failed: boolean): string[] {
  if (reason === 'over_budget') return [`To go on with a higher limit: ocm resume ${name} --max-usd AMOUNT, or --max-tokens N`];
  if (notStarted > 0 || reason !== 'done') return [`To go on: ocm resume ${name}`];
  return failed ? [`To run again what failed: ocm resume ${name} --retry-errors`] : [];
}

/** The same of a run that workers of a queue carry out. */
function goingOnThere(reason: string, name: string, notStarted: number, failed: boolean): string[] {
  if (notStarted > 0 || reason !== 'done') return [`To go on: ocm run --queue URL --run ${name}`];
  return failed ? [`To run again what failed: ocm ctl task requeue KEY... --run ${name} --queue URL`] : [];
}

export function patchLines({ tally, patches }: BatchSummary): string[] {
  if (!patches) return [];
  const { patches: taken, files, insertions, deletions } = tally.changed;
  // Where nothing could be taken nobody knows.
  if (taken === 0) return [tally.isTaken ? 'Patches: none, no task changed a file' : 'Patches: none'];
  const counts = `${plural(files, 'file')} (+${formatCount(insertions)} -${formatCount(deletions)})`;
  return [`Patches: ${formatCount(taken)}, with ${counts}, in ${patches.join(', ')}`];
}

/** What changed in repositories themselves while tasks worked in worktrees of them: configuration and hooks of an agent would run there. */
export function sourceLines({ tally: { sourceChanges: changed } }: BatchSummary): string[] {
  if (changed.length === 0) return [];
  const more = changed.length > mostNamed ? `, ${formatCount(changed.length - mostNamed)} more` : '';
  return [printable(`Changed in the repository itself while the tasks ran: ${changed.slice(0, mostNamed).join(', ')}${more}`)];
}

/** So many are named; the records have all. */
const mostNamed = 10;

/** The workspaces that are still there: why, where, and how they are removed. */
function keptLines({ kept = [] }: BatchSummary): string[] {
  if (kept.length === 0) return [];
  const lines = kept.slice(0, mostNamed).map(({ key, path, reason, holds }) => {
    const what = holds.map((left) => `${left.path}, ${left.reason.replaceAll('_', ' ')}, ${formatBytes(left.bytes)}`).join('; ');
    return printable(`Kept: the workspace of ${key}, ${reason}${what === '' ? '' : ` (${what})`}: ${path}`);
  });
  const more = kept.length > mostNamed ? [`Kept: ${formatCount(kept.length - mostNamed)} more workspaces`] : [];
  const commands = [...new Set(kept.map(({ remove }) => remove))].map((command) => printable(`To remove what was kept: ${command}`));
  return [...lines, ...more, ...commands];
}
