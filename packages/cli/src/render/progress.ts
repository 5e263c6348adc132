import type { Terminal } from '../terminal/index.ts';
import { formatDuration } from './format.ts';
import { LiveProgress } from './live-progress.ts';
import { oneLine } from './printable.ts';

export interface ProgressOptions {
  readonly total: number;
  /** Milliseconds; only differences count. */
  readonly now?: () => number;
}

export interface FinishedTask {
  readonly id: string;
  readonly outcome: string;
  readonly durationMs: number;
  readonly detail?: string;
  /** Of all its attempts that are told, in tokens and US dollars; null where no price is known. */
  readonly tokens?: number;
  readonly costUsd?: number | null;
  /** The result itself stands on the same terminal, so it needs no line here. */
  readonly printed?: boolean;
}

/**
 * Progress of a batch on stderr. On a terminal: a line for each finished task, and below it a block that is redrawn.
 * Elsewhere: one line a change of state. It never writes to stdout.
 */
export interface Progress extends Disposable {
  /** So many tasks there are, and so many of them had their end before. */
  expects(total: number, before: number): void;
  started(id: string): void;
  /** What a running task waits for; empty when it simply works. */
  waiting(id: string, reason: string): void;
  /** What a running task has used so far. */
  used(id: string, tokens: number, costUsd: number): void;
  finished(task: FinishedTask): void;
  /** An attempt has ended, and another one follows. */
  retried(id: string, reason: string): void;
  /** A task is not run, because of another one. */
  skipped(id: string, blockedBy: string): void;
  /** Why nothing starts although tasks wait, with how long that is still or without; asked for again and again. */
  holds(why: (hasCountdown: boolean) => string | null): void;
  /** A line of its own, for example what a signal means. */
  note(line: string): void;
  /** Writes to stdout, which may be the same terminal: what is drawn gives way meanwhile. */
  aside(write: () => void): void;
}

export function createProgress(terminal: Terminal, options: ProgressOptions): Progress {
  return terminal.interactive ? new LiveProgress(terminal, options) : new LineProgress(terminal, options);
}

/** How often it is asked why nothing starts, in milliseconds. */
const lookMs = 1000;

class LineProgress implements Progress {
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

  skipped(id: string, blockedBy: string): void {
    this.#done += 1;
    this.#terminal.notice(`skipped ${oneLine(id, 80)}: ${oneLine(blockedBy, 80)} did not succeed (${this.#done}/${this.#total})`);
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
