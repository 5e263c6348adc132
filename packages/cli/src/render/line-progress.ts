import type { Terminal } from '../terminal/index.ts';
import { formatDuration } from './format.ts';
import { oneLine } from './printable.ts';
import type { FinishedTask, Progress, ProgressOptions } from './progress.ts';

/** How often it is asked why nothing starts, in milliseconds. */
const lookMs = 1000;

/** Progress where nothing can be redrawn: one line a change of state. */
export class LineProgress implements Progress {
  readonly #terminal: Terminal;
  #total: number;
  readonly #waiting = new Map<string, string>();
  #done = 0;
  #why: string | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal, { total }: ProgressOptions) {
    this.#terminal = terminal;
    this.#total = total;
  }

  expects(total: number, before: number): void {
    this.#total = total;
    this.#done = before;
  }

  started(id: string): void {
    this.#terminal.notice(`started ${oneLine(id, 80)}`);
  }

  waiting(id: string, reason: string): void {
    if (reason !== '' && this.#waiting.get(id) !== reason) this.#terminal.notice(`waiting ${oneLine(id, 80)} ${reason}`);
    this.#waiting.set(id, reason);
  }

  used(): void {}

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

  skipped(id: string, blockedBy: string | null): void {
    this.#done += 1;
    const why = blockedBy === null ? 'it was cancelled' : `${oneLine(blockedBy, 80)} did not succeed`;
    this.#terminal.notice(`skipped ${oneLine(id, 80)}: ${why} (${this.#done}/${this.#total})`);
  }

  requeued(id: string, outcome: string): void {
    this.#done -= 1;
    this.#terminal.notice(`requeued ${oneLine(id, 80)} after ${outcome}`);
  }

  holds(why: (hasCountdown: boolean) => string | null): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#look(why), lookMs).unref();
  }

  #look(why: (hasCountdown: boolean) => string | null): void {
    const now = why(false);
    if (now !== null && now !== this.#why) this.#terminal.notice(`nothing starts: ${oneLine(why(true) ?? now, 160)}`);
    this.#why = now;
  }

  note(line: string): void {
    this.#terminal.notice(line);
  }

  aside(write: () => void): void {
    write();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
