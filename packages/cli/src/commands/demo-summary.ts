import type { StopReport } from '@opencode-manager/core';
import { demoTasks } from '@opencode-manager/testing';
import { summaryLine, type BatchEnd, type BatchSummary } from '../batch/index.ts';
import type { IsolationCheck, WatchedServer } from '../isolation-report/index.ts';
import type { PageServer } from '../playground/index.ts';
import { formatBytes, formatCount, formatDuration, oneLine, renderTable, tokensOf } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';

/** What a run of the demo leaves to be told. */
export interface DemoRun {
  readonly end: BatchEnd;
  readonly patches: readonly DemoPatch[];
  /** What became of the clones and the repository that they were made of. */
  readonly workspaces: IsolationCheck;
  /** The most resident memory that was seen of the server. */
  readonly serverBytes: number;
  /** The server can forget a directory. */
  readonly forgets: boolean;
  readonly server: WatchedServer;
  readonly stop: StopReport;
  readonly durationMs: number;
  readonly page: PageServer | undefined;
}

/** What a task changed in its clone. */
export interface DemoPatch {
  readonly task: string;
  readonly files: readonly string[];
  readonly insertions: number;
  readonly deletions: number;
}

const marks = { ok: '✓', failed: '✗', unknown: '?' } as const;

/** Room for the first words of an answer. */
const wordsWidth = 60;

/** Prints what the demo did: a table of outcomes, the patches, the sums, the server's memory, and the checks of isolation. */
export function printDemo(terminal: Terminal, run: DemoRun, checks: readonly IsolationCheck[], summary: BatchSummary): void {
  const { colors, result } = terminal;
  for (const line of outcomeTable(run, colors.bold)) result(line);
  result('');
  result(`${colors.bold('Patches')} (git), each from a clone of its own: ${run.patches.length === 0 ? 'none' : ''}`.trimEnd());
  for (const line of patchTable(run)) result(line);
  result(`${colors.bold('Result')}: ${summaryLine(summary)}`);
  const places = run.forgets
    ? 'it forgets the directory of each task with the task'
    : 'it keeps some 10 MB of each directory until it is replaced (--max-server-memory of ocm run)';
  result(`${colors.bold('Server')}: ${formatBytes(run.serverBytes)} of memory at most; ${places}`);
  result(`${colors.bold('Isolation')}: ${verdict(checks)}`);
  const paint = { ok: colors.green, failed: colors.red, unknown: colors.yellow };
  for (const { name, status, detail } of checks) result(`  ${paint[status](marks[status])} ${name}: ${detail}`);
}

function patchTable({ patches }: DemoRun): string[] {
  const rows = patches.map(({ task, files, insertions, deletions }) => [`  ${task}`, `+${insertions}`, `-${deletions}`, files.join(', ')]);
  return renderTable([{ title: '' }, { title: '', align: 'right' }, { title: '', align: 'right' }, { title: '' }], rows).slice(1);
}

function outcomeTable({ end }: DemoRun, style: (title: string) => string): string[] {
  const order = new Map(demoTasks.map(({ id }, index) => [id, index]));
  const rows = end.results
    .toSorted((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0))
    .map(({ id, outcome, duration_ms: durationMs, usage, output, error }) => [
      id,
      outcome,
      formatDuration(durationMs),
      formatCount(tokensOf(usage)),
      oneLine(error?.message ?? output, wordsWidth),
    ]);
  return renderTable(
    [{ title: 'TASK' }, { title: 'OUTCOME' }, { title: 'TIME', align: 'right' }, { title: 'TOKENS', align: 'right' }, { title: 'ANSWER' }],
    rows,
    style,
  );
}

function verdict(checks: readonly IsolationCheck[]): string {
  const failed = checks.filter(({ status }) => status === 'failed').length;
  const unknown = checks.filter(({ status }) => status === 'unknown').length;
  if (failed > 0) return `${failed} of ${checks.length} checks of this run failed`;
  return unknown === 0
    ? `all ${checks.length} checks of this run passed; nothing left behind`
    : `no check of this run failed, ${unknown} of ${checks.length} could not tell`;
}
