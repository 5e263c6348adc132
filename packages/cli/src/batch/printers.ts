import type { TaskResult } from '@opencode-manager/actors';
import { formatDuration, printable, type Progress } from '../render/index.ts';
import type { Terminal } from '../terminal/index.ts';
import type { BatchListener } from './execute.ts';
import { resultCommands } from './github.ts';
import { reasonOf } from './reason.ts';
import type { ReportOutput } from './reporters.ts';

/** What is printed on standard output of a batch while it runs. Results come without secrets. */
export interface Printer extends Partial<Pick<BatchListener, 'started' | 'finished'>> {
  retried?(result: TaskResult): void;
  skipped?(id: string, blockedBy: string | null): void;
  requeued?(id: string, outcome: string): void;
}

interface PrinterContext {
  readonly terminal: Terminal;
  readonly progress: Progress;
  readonly single: boolean;
}

export function printerOf(output: ReportOutput, { terminal, progress, single }: PrinterContext): Printer {
  switch (output) {
    case 'json':
      return recordPrinter(terminal);
    case 'github':
      return { finished: (result) => progress.aside(() => resultCommands(result).forEach((line) => terminal.result(line))) };
    // Its report comes at the end.
    case 'junit':
      return {};
    default:
      return { finished: (result) => progress.aside(() => printResult(terminal, result, single)) };
  }
}

function recordPrinter(terminal: Terminal): Printer {
  const at = () => new Date().toISOString();
  return {
    started: ({ id, sessionId, directory, attempt }) =>
      terminal.record({ type: 'task.started', id, session_id: sessionId, directory, attempt, at: at() }),
    retried: ({ id, attempt, outcome, session_id: sessionId, error, reset_at: resetAt }) =>
      terminal.record({
        type: 'task.retried',
        id,
        attempt,
        outcome,
        session_id: sessionId,
        error,
        ...(resetAt !== undefined && { reset_at: resetAt }),
        at: at(),
      }),
    skipped: (id, blockedBy) =>
      terminal.record({ type: 'task.skipped', id, blocked_by: blockedBy, ...(blockedBy === null && { cancelled: true }), at: at() }),
    requeued: (id, outcome) => terminal.record({ type: 'task.requeued', id, outcome, at: at() }),
    finished: (result) => terminal.record({ type: 'task.finished', ...result }, result.id),
  };
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
  if (result.outcome !== 'succeeded') (single ? terminal.notice : terminal.result)(reasonOf(result));
  if (!single) terminal.result('');
}

function halfChangedText({ id, attempts }: TaskResult): string {
  const then = attempts ? 'it ran again, and files of that try' : 'files';
  return `${printable(id)}: a try of this task broke off; ${then} may be half changed. Look with: git status`;
}
