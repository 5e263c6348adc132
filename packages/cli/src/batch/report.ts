import { outcomes, type TaskResult } from '@opencode-manager/actors';
import type { Redactor, StopReport } from '@opencode-manager/core';
import { formatBytes, formatCount, formatDuration, plural, printable, tokensOf, totalUsage, type Progress } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import type { KeptWorkspace } from '../workspaces/index.ts';
import type { OutputFile } from './output-file.ts';
import { countOutcomes, type BatchEnd, type BatchListener } from './execute.ts';

export interface ReporterOptions {
  readonly terminal: Terminal;
  readonly progress: Progress;
  readonly json: boolean;
  /** True when there is one task only: its answer alone is the result. */
  readonly single: boolean;
  readonly out?: OutputFile | undefined;
}

/** Turns what happens in a batch into records, results and progress. */
export function createReporter({ terminal, progress, json, single, out }: ReporterOptions): BatchListener {
  return {
    started({ id, sessionId, directory, attempt }) {
      progress.started(id);
      if (json) terminal.record({ type: 'task.started', id, session_id: sessionId, directory, attempt, at: new Date().toISOString() });
    },
    waiting: (id, reason) => progress.waiting(id, reason),
    finished(told) {
      // Before anything is cut off: half a secret would not be recognised.
      const result = withoutSecrets(told, terminal.redactor);
      const detail = result.outcome === 'succeeded' ? result.output : errorText(result);
      const printed = !json && terminal.streams.stdout.isTTY === true;
      progress.finished({ id: result.id, outcome: result.outcome, durationMs: result.duration_ms, detail, printed });
      if (json) terminal.record({ type: 'task.finished', ...result }, result.id);
      else progress.aside(() => printResult(terminal, result, single));
      out?.write(result);
    },
  };
}

/** A result as it may be shown: `redacted` counts the secrets that were taken out, and is absent when there was none. */
function withoutSecrets(result: TaskResult & { readonly redacted?: number }, redactor: Redactor): TaskResult {
  const { value, redacted } = redactor.counted(result);
  return redacted === 0 ? value : Object.assign({}, value, { redacted: redacted + (result.redacted ?? 0) });
}

function printResult(terminal: Terminal, result: TaskResult, single: boolean): void {
  const { colors } = terminal;
  const output = printable(result.output).trimEnd();
  if (!single) {
    const mark = result.outcome === 'succeeded' ? colors.green(result.outcome) : colors.red(result.outcome);
    terminal.result(`${colors.bold(printable(result.id))}  ${mark}  ${colors.dim(formatDuration(result.duration_ms))}`);
  }
  if (output !== '') terminal.result(output);
  // With one task the reason goes where it does not mix with the answer.
  if (result.workspace_may_be_half_changed) terminal.notice(halfChangedText(result));
  if (result.outcome !== 'succeeded') (single ? terminal.notice : terminal.result)(errorText(result));
  if (!single) terminal.result('');
}

function halfChangedText({ id, attempts }: TaskResult): string {
  const then = attempts ? 'it ran again, and files' : 'files';
  return `${printable(id)}: the server was lost during this task; ${then} of the first try may be half changed. Look with: git status`;
}

function errorText({ outcome, error, asks, reset_at: resetAt }: TaskResult): string {
  const denied = asks.find(({ answer }) => answer === 'denied' || answer === 'unanswered');
  const reason = error ? `${error.code}: ${printable(error.message)}` : outcome;
  const ask = denied
    ? ` (an ask was ${denied.answer}: ${[denied.permission, ...(denied.patterns ?? [])].filter(Boolean).join(' ')}; see --permissions)`
    : '';
  return `${reason}${ask}${resetAt ? ` (free again at ${resetAt})` : ''}`;
}

export interface BatchSummary {
  readonly total: number;
  readonly end: BatchEnd;
  readonly durationMs: number;
  /** How the server was stopped; undefined when something of it was left. */
  readonly stop: StopReport | undefined;
  readonly signal: string | undefined;
  readonly exitCode: number;
  /** Directories that hold the patches of tasks; undefined when none had a workspace of its own. */
  readonly patches?: readonly string[] | undefined;
  /** Workspaces that are still there. */
  readonly kept?: readonly KeptWorkspace[];
}

/** The last record of `ocm run --json`. */
export function doneRecord({ total, end, durationMs, stop, signal, exitCode, patches, kept = [] }: BatchSummary): object {
  return {
    type: 'done',
    total,
    ...countOutcomes(end.results, outcomes),
    not_started: end.notStarted,
    usage: totalUsage(end.results),
    cost_usd: totalCost(end.results),
    duration_ms: Math.round(durationMs),
    gaps: end.gaps,
    restarts: end.restarts,
    server_restarts: end.serverRestarts,
    signal: signal ?? null,
    exit_code: exitCode,
    clean: stop !== undefined,
    state_deleted: stop?.stateDeleted ?? false,
    ...(patches && { patches }),
    ...(kept.length > 0 && { kept_workspaces: kept.map(({ key, ...workspace }) => ({ id: key, ...workspace })) }),
  };
}

/** One unknown price makes the sum unknown: a part of the truth would pass for all of it. */
function totalCost(results: readonly TaskResult[]): number | null {
  let total = 0;
  for (const { cost_usd: cost } of results) {
    if (cost === null) return null;
    total += cost;
  }
  return total;
}

/** `7 of 8 tasks succeeded, 1 failed; 1,234 tokens; 3.2 s` */
export function summaryLine({ total, end, durationMs }: BatchSummary): string {
  const counts = countOutcomes(end.results, outcomes);
  const others = outcomes
    .filter((outcome) => outcome !== 'succeeded' && counts[outcome] > 0)
    .map((outcome) => `${counts[outcome]} ${outcome}`);
  if (end.notStarted > 0) others.push(`${end.notStarted} not started`);
  const tokens = tokensOf(totalUsage(end.results));
  const head = `${formatCount(counts.succeeded)} of ${plural(total, 'task')} succeeded`;
  return [[head, ...others].join(', '), `${formatCount(tokens)} tokens`, formatDuration(durationMs)].join('; ');
}

/** `Patches: 7, with 12 files (+34 -5), in /srv/repo.ocm/20260101T000000Z-1a2b/artifacts` */
export function patchLines({ end, patches }: BatchSummary): string[] {
  if (!patches) return [];
  const taken = end.results.filter(({ files_changed: files = 0 }) => files > 0);
  // Where nothing could be taken nobody knows.
  if (taken.length === 0)
    return [end.results.every((result) => result.base_commit !== undefined) ? 'Patches: none, no task changed a file' : 'Patches: none'];
  const sum = (field: 'files_changed' | 'insertions' | 'deletions') => taken.reduce((total, result) => total + (result[field] ?? 0), 0);
  const counts = `${plural(sum('files_changed'), 'file')} (+${formatCount(sum('insertions'))} -${formatCount(sum('deletions'))})`;
  return [`Patches: ${formatCount(taken.length)}, with ${counts}, in ${patches.join(', ')}`];
}

/** What changed in repositories themselves while tasks worked in worktrees of them: configuration and hooks of an agent would run there. */
export function sourceLines({ end }: BatchSummary): string[] {
  const changed = [...new Set(end.results.flatMap(({ source_changes: changes = [] }) => changes))].toSorted();
  if (changed.length === 0) return [];
  const more = changed.length > mostNamed ? `, ${formatCount(changed.length - mostNamed)} more` : '';
  return [printable(`Changed in the repository itself while the tasks ran: ${changed.slice(0, mostNamed).join(', ')}${more}`)];
}

/** So many are named; the records have all. */
const mostNamed = 10;

/** The workspaces that are still there: why, where, and how they are removed. */
export function keptLines({ kept = [] }: BatchSummary): string[] {
  if (kept.length === 0) return [];
  const lines = kept.slice(0, mostNamed).map(({ key, path, reason, holds }) => {
    const what = holds.map((left) => `${left.path}, ${left.reason.replaceAll('_', ' ')}, ${formatBytes(left.bytes)}`).join('; ');
    return printable(`Kept: the workspace of ${key}, ${reason}${what === '' ? '' : ` (${what})`}: ${path}`);
  });
  const more = kept.length > mostNamed ? [`Kept: ${formatCount(kept.length - mostNamed)} more workspaces`] : [];
  const commands = [...new Set(kept.map(({ remove }) => remove))].map((command) => printable(`To remove what was kept: ${command}`));
  return [...lines, ...more, ...commands];
}
