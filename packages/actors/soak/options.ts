import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

export interface SoakOptions {
  /** Tasks in all; no limit when a duration alone is given. */
  readonly tasks: number;
  readonly concurrency: number;
  readonly seed: number;
  /** Takes no new task after so many milliseconds. */
  readonly durationMs: number;
}

export const usage = 'pnpm soak [--tasks N] [--concurrency C] [--seed S] [--duration 90s|10m|2h]';

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/** @throws `TypeError`, `RangeError` for what is no option or no number */
export function parseOptions(args: readonly string[]): SoakOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: [...args], options: { tasks: text, concurrency: text, seed: text, duration: text } });
  const tasks = values.duration === undefined ? 60 : Infinity;
  return {
    tasks: values.tasks === undefined ? tasks : wholeNumber('tasks', values.tasks),
    concurrency: wholeNumber('concurrency', values.concurrency ?? '6'),
    seed: values.seed === undefined ? randomInt(1, 2 ** 31) : wholeNumber('seed', values.seed),
    durationMs: values.duration === undefined ? Infinity : milliseconds(values.duration),
  };
}

/** The command that runs the same plan again. */
export function replayCommand({ tasks, concurrency, seed, durationMs }: SoakOptions): string {
  const duration = Number.isFinite(durationMs) ? ` --duration ${durationMs / 1000}s` : '';
  const count = Number.isFinite(tasks) ? ` --tasks ${tasks}` : '';
  return `pnpm soak --seed ${seed} --concurrency ${concurrency}${count}${duration}`;
}

function wholeNumber(name: string, value: string): number {
  if (/^[1-9]\d{0,9}$/.test(value)) return Number(value);
  throw new RangeError(`--${name}: ${value} is not a whole number of one or more.`);
}

function milliseconds(value: string): number {
  const [, number, unit] = /^(\d+)([smh])$/.exec(value) ?? [];
  if (number !== undefined && unit !== undefined && Number(number) > 0) return Number(number) * unitsMs[unit]!;
  throw new RangeError(`--duration: ${value} is not a number with s, m or h behind it.`);
}
