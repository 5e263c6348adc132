import { locateRun } from '@opencode-manager/runs/look';
import { resultsOf, type StateCounts, type TaskReading, type TaskState } from '@opencode-manager/runs/read';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { ResultsFlags } from '../flags.ts';
import { formatCount, formatDuration, oneLine, renderTable, tokensOf } from '../render/index.ts';
import { countsText } from '../run-view/counts.ts';
import { hasFailed, isTaken, reasonOf, resultIn } from '../run-view/results.ts';
import type { Terminal } from '../terminal/index.ts';

/** `ocm results`: what became of each task of a run. */
export async function results(terminal: Terminal, name: string | undefined, flags: ResultsFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../queue/look.ts')).queueResults(terminal, name, flags);
  const path = await locateRun('.', name);
  return printReadings(terminal, resultsOf(path), flags, { path });
}

/** Prints what became of tasks, and their counts. */
export async function printReadings(
  terminal: Terminal,
  readings: AsyncIterable<TaskReading>,
  flags: ResultsFlags,
  of: object,
): Promise<ExitCode> {
  const states: Partial<Record<TaskState, number>> = {};
  const rows: string[][] = [];
  let total = 0;
  for await (const reading of readings) {
    total += 1;
    states[reading.state] = (states[reading.state] ?? 0) + 1;
    if (flags.failed && !hasFailed(reading)) continue;
    if (!flags.json) rows.push(rowOf(reading));
    else {
      terminal.record(recordOf(reading), reading.key);
      if (!(await isTaken(terminal))) return exitCodes.failed;
    }
  }
  const counts: StateCounts = { total, states, dropped: 0 };
  if (flags.json) terminal.record({ type: 'done', ...of, total, states, exit_code: exitCodes.ok });
  else for (const line of rows.length === 0 ? [] : table(rows, terminal)) terminal.result(line);
  terminal.notice(countsText(counts));
  return exitCodes.ok;
}

function recordOf(reading: TaskReading): object {
  if (reading.type === 'result') return { type: 'task.finished', seq: reading.sequence, ...resultIn(reading.attempt) };
  const { key, state, attempts, blockedBy, isCancelled } = reading;
  if (state === 'skipped') return { type: 'task.skipped', id: key, blocked_by: blockedBy, cancelled: isCancelled };
  return { type: 'task.unfinished', id: key, state, attempts };
}

const columns = [
  { title: 'TASK' },
  { title: 'STATE' },
  { title: 'ATTEMPTS', align: 'right' },
  { title: 'TIME', align: 'right' },
  { title: 'TOKENS', align: 'right' },
  { title: 'ANSWER OR REASON' },
] as const;

function rowOf(reading: TaskReading): string[] {
  const name = oneLine(reading.key, 60);
  const isOver = !['running', 'waiting', 'not_started'].includes(reading.state);
  const reason = isOver ? oneLine(beginningOf(reasonOf(reading)), longestReason) : '';
  if (reading.type === 'no_result')
    return [name, stateText(reading.state), reading.attempts === 0 ? '' : String(reading.attempts), '', '', reason];
  const { attempt, result } = reading.attempt;
  const says = reading.state === 'succeeded' ? oneLine(beginningOf(result.output), longestReason) : reason;
  return [name, stateText(reading.state), String(attempt), formatDuration(result.duration_ms), formatCount(tokensOf(result.usage)), says];
}

const longestReason = 200;

/** A copy: the piece of a text would keep the whole of it in memory, and a row stays until all are there. */
function beginningOf(text: string): string {
  return Buffer.from(text.slice(0, 1000)).toString();
}

function stateText(state: TaskState): string {
  return state.replaceAll('_', ' ');
}

/** Lines as wide as the terminal; wider where there is none. */
function table(rows: readonly (readonly string[])[], { colors, streams }: Terminal): string[] {
  const width = streams.stdout.columns ?? Number.POSITIVE_INFINITY;
  return renderTable(columns, rows, colors.bold).map((line, index) =>
    index > 0 && line.length > width ? `${line.slice(0, width - 1)}…` : line,
  );
}
