import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

/** What may happen to a run while it works. */
const weathers = ['kill', 'start-kill', 'term', 'server-kill', 'lost-results', 'lost-state', 'edits', 'timeouts', 'full-disk'] as const;
type Weather = (typeof weathers)[number];

export interface SoakOptions {
  readonly seed: number;
  readonly tasks: number;
  readonly concurrency: number;
  /** How often the manager is ended before it may come to its own end. */
  readonly kills: number;
  /** Bounds of the length of a task, in seconds. */
  readonly seconds: readonly [number, number];
  /** Bounds of the time from the launch of a manager to its end, in seconds. */
  readonly gap: readonly [number, number];
  readonly workspace: 'shared' | 'clone';
  readonly weather: readonly Weather[];
  /** The opencode to run; that of `OPENCODE_BIN`, or the pinned one, when absent. */
  readonly binary?: string;
  /** Leaves all files to look at. */
  readonly keep: boolean;
}

export const usage =
  'pnpm soak [--seed S] [--tasks N] [--concurrency C] [--kills K] [--seconds 5-60] [--gap 20-40] [--workspace shared|clone] ' +
  `[--weather ${weathers.join(',')}] [--binary PATH] [--keep]`;

/** @throws `TypeError`, `RangeError` for what is no option or no value of it */
export function parseOptions(args: readonly string[]): SoakOptions {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: text,
      tasks: text,
      concurrency: text,
      kills: text,
      seconds: text,
      gap: text,
      workspace: text,
      weather: text,
      binary: text,
      keep: { type: 'boolean' },
    },
  });
  return {
    seed: values.seed === undefined ? randomInt(1, 2 ** 31) : wholeNumber('seed', values.seed),
    tasks: wholeNumber('tasks', values.tasks ?? '12'),
    concurrency: wholeNumber('concurrency', values.concurrency ?? '6'),
    kills: wholeNumber('kills', values.kills ?? '1'),
    seconds: range('seconds', values.seconds ?? '1-5'),
    gap: range('gap', values.gap ?? '2-8'),
    workspace: oneOf('workspace', values.workspace ?? 'shared', ['shared', 'clone'] as const),
    weather: (values.weather ?? 'kill').split(',').map((name) => oneOf('weather', name, weathers)),
    ...(values.binary !== undefined && { binary: values.binary }),
    keep: values.keep ?? false,
  };
}

/** The command that does the same again. */
export function replayCommand({ seed, tasks, concurrency, kills, seconds, gap, workspace, weather, binary }: SoakOptions): string {
  const numbers = `--seed ${seed} --tasks ${tasks} --concurrency ${concurrency} --kills ${kills}`;
  const on = binary === undefined ? '' : ` --binary ${binary}`;
  return `pnpm soak ${numbers} --seconds ${seconds.join('-')} --gap ${gap.join('-')} --workspace ${workspace} --weather ${weather.join(',')}${on}`;
}

function wholeNumber(name: string, value: string): number {
  if (/^\d{1,10}$/.test(value)) return Number(value);
  throw new RangeError(`--${name}: ${value} is not a whole number.`);
}

function range(name: string, value: string): readonly [number, number] {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(value) ?? [];
  if (from !== undefined && to !== undefined && Number(from) <= Number(to)) return [Number(from), Number(to)];
  throw new RangeError(`--${name}: ${value} is not two whole numbers with - between them, the smaller one first.`);
}

function oneOf<Value extends string>(name: string, value: string, values: readonly Value[]): Value {
  if ((values as readonly string[]).includes(value)) return value as Value;
  throw new RangeError(`--${name}: ${value} is none of ${values.join(', ')}.`);
}
