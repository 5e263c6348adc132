import type { Terminal } from '../terminal/index.ts';
import { formatCost, formatCount, formatDuration, plural } from './format.ts';
import { oneLine } from './printable.ts';
import type { FinishedTask, Progress, ProgressOptions } from './progress.ts';

/** Redraws at most this often; a person sees no more. */
const redrawMs = 100;

/** Lines of a terminal that stay for what was told before. */
const linesAbove = 6;

interface ActiveTask {
  readonly sinceMs: number;
  reason: string;
  tokens: number;
  costUsd: number;
}

/** Progress on a terminal that can be redrawn: what runs, the oldest first, and below it the sums. */
export class LiveProgress implements Progress {
  readonly #terminal: Terminal;
  #total: number;
  readonly #now: () => number;
  readonly #startedAtMs: number;
  /** In the order in which they started. */
  readonly #active = new Map<string, ActiveTask>();
  readonly #outcomes = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #why: (hasCountdown: boolean) => string | null = () => null;
  #before = 0;
  #done = 0;
  #tokens = 0;
  #costUsd: number | null = 0;
  #drawnLines = 0;
  #drawnAtMs = -Infinity;
  /** What is to be written above the block. */
  readonly #asides: (() => void)[] = [];

  constructor(terminal: Terminal, { total, now = () => performance.now() }: ProgressOptions) {
    this.#terminal = terminal;
    this.#total = total;
    this.#now = now;
    this.#startedAtMs = now();
    this.#timer = setInterval(() => this.#redraw(), redrawMs).unref();
  }

  expects(total: number, before: number): void {
    this.#total = total;
    this.#before = before;
  }

  started(id: string): void {
    this.#active.set(id, { sinceMs: this.#now(), reason: '', tokens: 0, costUsd: 0 });
  }

  waiting(id: string, reason: string): void {
    const task = this.#active.get(id);
    if (task) task.reason = reason;
  }

  used(id: string, tokens: number, costUsd: number): void {
    const task = this.#active.get(id);
    if (task) [task.tokens, task.costUsd] = [tokens, costUsd];
  }

  finished(task: FinishedTask): void {
    this.#active.delete(task.id);
    this.#count(task.outcome);
    this.#tokens += task.tokens ?? 0;
    this.#costUsd = this.#costUsd === null || task.costUsd === null ? null : this.#costUsd + (task.costUsd ?? 0);
    if (!task.printed) this.note(outcomeLine({ ...task, id: oneLine(task.id, 40) }, this.#terminal));
  }

  retried(id: string, reason: string): void {
    this.#active.delete(id);
    const { noticeColors, width } = this.#terminal;
    this.note(`${noticeColors.yellow('↻')} ${oneLine(id, 40)}  again after ${oneLine(reason, Math.max(20, width - 60))}`);
  }

  skipped(id: string, blockedBy: string | null): void {
    this.#count('skipped');
    const why = blockedBy === null ? 'it was cancelled' : `${oneLine(blockedBy, 40)} did not succeed`;
    this.note(`${this.#terminal.noticeColors.yellow('-')} ${oneLine(id, 40)}  skipped: ${why}`);
  }

  requeued(id: string, outcome: string): void {
    this.#done -= 1;
    this.#outcomes.set(outcome, Math.max(0, (this.#outcomes.get(outcome) ?? 0) - 1));
    this.note(`${this.#terminal.noticeColors.yellow('↻')} ${oneLine(id, 40)}  requeued after ${outcome}`);
  }

  #count(outcome: string): void {
    this.#done += 1;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  holds(why: (hasCountdown: boolean) => string | null): void {
    this.#why = why;
  }

  note(line: string): void {
    this.aside(() => this.#write(`${line}\n`));
  }

  /** At once, unless the block was drawn a moment ago: then with the next frame. */
  aside(write: () => void): void {
    this.#asides.push(write);
    if (this.#now() - this.#drawnAtMs >= redrawMs) this.#redraw();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#giveWay();
  }

  #redraw(): void {
    this.#giveWay();
    const lines = this.#block();
    this.#drawnLines = lines.length;
    this.#drawnAtMs = this.#now();
    this.#write(`${lines.join('\n')}\n`);
  }

  #giveWay(): void {
    this.#write(this.#eraser());
    for (const write of this.#asides.splice(0)) write();
  }

  /** Moves to the beginning of the block's first line, also behind the `^C` of a Ctrl-C, and clears from there. */
  #eraser(): string {
    const lines = this.#drawnLines;
    this.#drawnLines = 0;
    return lines === 0 ? '' : `\r\u001B[${lines}A\u001B[J`;
  }

  #block(): string[] {
    const { noticeColors: colors, width, height } = this.#terminal;
    const room = Math.max(1, height - linesAbove);
    const shown = [...this.#active].slice(0, room);
    const rest = this.#active.size - shown.length;
    const idWidth = Math.min(40, Math.floor(width / 2), Math.max(4, ...shown.map(([id]) => id.length)));
    const why = this.#why(true);
    return [
      ...shown.map(([id, task]) => this.#row(id, task, idWidth)),
      ...(rest > 0 ? [`  and ${formatCount(rest)} more`] : []),
      ...this.#sums().map((line) => colors.bold(oneLine(line, width - 1))),
      ...(why === null ? [] : [colors.yellow(oneLine(`Nothing starts: ${why}`, width - 1))]),
    ];
  }

  /** The least important goes first where there is no room. */
  #row(id: string, { sinceMs, reason, tokens, costUsd }: ActiveTask, idWidth: number): string {
    const { noticeColors: colors, width } = this.#terminal;
    const head = `  ${oneLine(id, idWidth).padEnd(idWidth)}  ${formatDuration(this.#now() - sinceMs).padStart(8)}`;
    const used = `${tokens === 0 ? '' : `  ${formatCount(tokens)} tokens`}${costUsd === 0 ? '' : `  ${formatCost(costUsd)}`}`;
    const state = reason === '' ? '' : `  waits ${reason}`;
    const stateRoom = width - 1 - head.length;
    if (state.length > stateRoom) return head + colors.yellow(`  ${oneLine(state, Math.max(0, stateRoom - 2))}`);
    return head + colors.yellow(state) + (used.length > stateRoom - state.length ? '' : colors.dim(used));
  }

  #sums(): string[] {
    const elapsedMs = this.#now() - this.#startedAtMs;
    const outcomes = [...this.#outcomes].map(([outcome, count]) => `${formatCount(count)} ${outcome}`);
    const ended = this.#before + this.#done;
    const waiting = this.#total - ended - this.#active.size;
    const counts = [
      `${formatCount(ended)}/${plural(this.#total, 'task')}`,
      `${formatCount(this.#active.size)} running`,
      ...(waiting > 0 ? [`${formatCount(waiting)} waiting`] : []),
      ...outcomes,
      ...(this.#before > 0 ? [`${formatCount(this.#before)} from before`] : []),
    ];
    const running = [...this.#active.values()];
    const tokens = running.reduce((sum, task) => sum + task.tokens, this.#tokens);
    const cost = this.#costUsd === null ? null : running.reduce((sum, task) => sum + task.costUsd, this.#costUsd);
    const { width } = this.#terminal;
    return [
      ...wrapped(counts, ', ', width - 1),
      ...wrapped([formatDuration(elapsedMs), ...spentOf(tokens, cost), ...this.#pace(elapsedMs)], '; ', width - 1),
    ];
  }

  /** How fast, and how long still, as soon as there is something to reckon from. */
  #pace(elapsedMs: number): string[] {
    const left = this.#total - this.#before - this.#done;
    if (this.#done === 0 || elapsedMs < 1000 || left === 0) return [];
    const perMs = this.#done / elapsedMs;
    const perMinute = perMs * 60_000;
    return [
      `${perMinute < 10 ? perMinute.toFixed(1) : formatCount(Math.round(perMinute))} tasks a minute`,
      `about ${formatDuration(left / perMs)} left`,
    ];
  }

  #write(text: string): void {
    this.#terminal.draw(text);
  }
}

/** Pieces in as few lines as they need. */
function wrapped(pieces: readonly string[], separator: string, width: number): string[] {
  const lines: string[] = [];
  for (const piece of pieces) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + separator.length + piece.length <= width) lines[lines.length - 1] = last + separator + piece;
    else lines.push(piece);
  }
  return lines;
}

function spentOf(tokens: number, costUsd: number | null): string[] {
  return [...(tokens > 0 ? [`${formatCount(tokens)} tokens`] : []), ...(costUsd === null || costUsd === 0 ? [] : [formatCost(costUsd)])];
}

function outcomeLine({ id, outcome, durationMs, detail }: FinishedTask, { noticeColors, width }: Terminal): string {
  const mark = outcome === 'succeeded' ? noticeColors.green('✓') : noticeColors.red('✗');
  const text = `${id}  ${outcome}  ${formatDuration(durationMs)}`;
  const more = detail ? `  ${oneLine(detail, Math.max(20, width - text.length - 6))}` : '';
  return `${mark} ${text}${noticeColors.dim(more)}`;
}
