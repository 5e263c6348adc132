import type { Terminal } from '../terminal/index.ts';
import { formatDuration, plural } from './format.ts';
import { oneLine } from './printable.ts';

/** Redraws at most this often; a person sees no more. */
const redrawMs = 100;

/** Active tasks that are drawn; the rest is counted. */
const drawnTasks = 8;

export interface ProgressOptions {
  readonly total: number;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
}

interface FinishedTask {
  readonly id: string;
  readonly outcome: string;
  readonly durationMs: number;
  readonly detail?: string;
  /** The result itself stands on the same terminal, so it needs no line here. */
  readonly printed?: boolean;
}

/**
 * Progress of a batch on stderr. On a terminal: a line for each finished task, and below it a block that is redrawn.
 * Elsewhere: one line a change of state. It never writes to stdout.
 */
export interface Progress extends Disposable {
  started(id: string): void;
  /** What a running task waits for; empty when it simply works. */
  waiting(id: string, reason: string): void;
  finished(task: FinishedTask): void;
  /** An attempt has ended, and another one follows. */
  retried(id: string, reason: string): void;
  /** A task is not run, because of another one. */
  skipped(id: string, blockedBy: string): void;
  /** A line of its own, for example what a signal means. */
  note(line: string): void;
  /** Writes to stdout, which may be the same terminal: what is drawn gives way meanwhile. */
  aside(write: () => void): void;
}

export function createProgress(terminal: Terminal, options: ProgressOptions): Progress {
  return terminal.interactive ? new LiveProgress(terminal, options) : new LineProgress(terminal, options);
}

function outcomeLine({ id, outcome, durationMs, detail }: FinishedTask, { noticeColors, width }: Terminal): string {
  const mark = outcome === 'succeeded' ? noticeColors.green('✓') : noticeColors.red('✗');
  const text = `${id}  ${outcome}  ${formatDuration(durationMs)}`;
  const more = detail ? `  ${oneLine(detail, Math.max(20, width - text.length - 6))}` : '';
  return `${mark} ${text}${noticeColors.dim(more)}`;
}

class LineProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #total: number;
  readonly #waiting = new Map<string, string>();
  #done = 0;

  constructor(terminal: Terminal, { total }: ProgressOptions) {
    this.#terminal = terminal;
    this.#total = total;
  }

  started(id: string): void {
    this.#terminal.notice(`started ${oneLine(id, 80)}`);
  }

  waiting(id: string, reason: string): void {
    if (reason !== '' && this.#waiting.get(id) !== reason) this.#terminal.notice(`waiting ${oneLine(id, 80)} ${reason}`);
    this.#waiting.set(id, reason);
  }

  finished(task: FinishedTask): void {
    this.#done += 1;
    this.#waiting.delete(task.id);
    const detail = task.detail ? `: ${oneLine(task.detail, 160)}` : '';
    this.#terminal.notice(
      `finished ${oneLine(task.id, 80)} ${task.outcome} after ${formatDuration(task.durationMs)} (${this.#done}/${this.#total})${detail}`,
    );
  }

  retried(id: string, reason: string): void {
    this.#waiting.delete(id);
    this.#terminal.notice(`retried ${oneLine(id, 80)} after ${oneLine(reason, 160)}`);
  }

  skipped(id: string, blockedBy: string): void {
    this.#done += 1;
    this.#terminal.notice(`skipped ${oneLine(id, 80)}: ${oneLine(blockedBy, 80)} did not succeed (${this.#done}/${this.#total})`);
  }

  note(line: string): void {
    this.#terminal.notice(line);
  }

  aside(write: () => void): void {
    write();
  }

  [Symbol.dispose](): void {}
}

class LiveProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #total: number;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #active = new Map<string, number>();
  readonly #waiting = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  #done = 0;
  #failed = 0;
  #drawnLines = 0;

  constructor(terminal: Terminal, { total, now = () => performance.now() }: ProgressOptions) {
    this.#terminal = terminal;
    this.#total = total;
    this.#now = now;
    this.#startedAt = now();
    this.#timer = setInterval(() => this.#redraw(), redrawMs).unref();
  }

  started(id: string): void {
    this.#active.set(id, this.#now());
  }

  waiting(id: string, reason: string): void {
    this.#waiting.set(id, reason);
  }

  finished(task: FinishedTask): void {
    this.#active.delete(task.id);
    this.#waiting.delete(task.id);
    this.#done += 1;
    if (task.outcome !== 'succeeded') this.#failed += 1;
    if (!task.printed) this.note(outcomeLine({ ...task, id: oneLine(task.id, 40) }, this.#terminal));
  }

  retried(id: string, reason: string): void {
    this.#active.delete(id);
    this.#waiting.delete(id);
    this.note(
      `${this.#terminal.noticeColors.yellow('↻')} ${oneLine(id, 40)}  again after ${oneLine(reason, Math.max(20, this.#terminal.width - 60))}`,
    );
  }

  skipped(id: string, blockedBy: string): void {
    this.#done += 1;
    this.#failed += 1;
    this.note(`${this.#terminal.noticeColors.yellow('-')} ${oneLine(id, 40)}  skipped: ${oneLine(blockedBy, 40)} did not succeed`);
  }

  note(line: string): void {
    this.#write(`${this.#eraser()}${line}\n`);
    this.#redraw();
  }

  aside(write: () => void): void {
    this.#write(this.#eraser());
    write();
    this.#redraw();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#write(this.#eraser());
  }

  #redraw(): void {
    const lines = this.#block();
    const eraser = this.#eraser();
    this.#drawnLines = lines.length;
    this.#write(`${eraser}${lines.join('\n')}\n`);
  }

  /** Moves to the block's first line and clears from there. */
  #eraser(): string {
    const lines = this.#drawnLines;
    this.#drawnLines = 0;
    return lines === 0 ? '' : `\u001B[${lines}A\u001B[J`;
  }

  #block(): string[] {
    const { noticeColors: colors, width } = this.#terminal;
    const active = [...this.#active].slice(0, drawnTasks);
    const rest = this.#active.size - active.length;
    const failed = this.#failed > 0 ? `, ${this.#failed} not succeeded` : '';
    const head = `${this.#done}/${plural(this.#total, 'task')}, ${this.#active.size} running${failed}, ${formatDuration(this.#now() - this.#startedAt)}`;
    return [
      colors.bold(oneLine(head, width - 1)),
      ...active.map((entry) => this.#activeLine(...entry)),
      ...(rest > 0 ? [`  and ${rest} more`] : []),
    ];
  }

  #activeLine(id: string, since: number): string {
    const { noticeColors: colors, width } = this.#terminal;
    const reason = this.#waiting.get(id) ?? '';
    const line = `  ${oneLine(id, width - 16 - reason.length)}  ${formatDuration(this.#now() - since)}`;
    return reason === '' ? line : `${line}  ${colors.yellow(reason)}`;
  }

  #write(text: string): void {
    this.#terminal.draw(text);
  }
}
