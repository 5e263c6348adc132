import { parseArgs } from 'node:util';
import { renderTable } from '../report/markdown.ts';
import { writeReport } from '../report/results-file.ts';
import { measure } from './measure.ts';
import type { Settings } from '../case/run-case.ts';
import type { Benchmark, Measurement, Point } from './types.ts';

const help = `pnpm bench [names...] [--quick] [--list]

Runs the benchmarks that are named, or all of them, and writes docs/benchmarks.md with its chart from what was measured.
  --quick   one round at a small size; nothing is written
  --set N=V a size in place of the benchmark's own, for example tasks=200; repeatable
  --list    the names`;

/** Runs the command line; gives the exit code. */
export async function runCommand(args: readonly string[], benchmarks: readonly Benchmark[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean' },
      set: { type: 'string', multiple: true },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return print(help);
  if (values.list) return print(benchmarks.map(({ name, about }) => `${name.padEnd(16)} ${about}`).join('\n'));
  const unknown = positionals.find((name) => !benchmarks.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined) return print(`${unknown}: no such benchmark; there are ${benchmarks.map(({ name }) => name).join(', ')}`, 2);
  const chosen = benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const sizes = readSizes(values.set ?? []);
  const wrong = Object.entries(sizes).find(([name, value]) => !Number.isFinite(value) || !chosen.every(({ points }) => has(points, name)));
  if (wrong !== undefined)
    return print(`--set ${wrong.join('=')}: not a size of ${chosen.map(({ name }) => name).join(', ')}, or no number`, 2);
  return await runAll(chosen, benchmarks, { quick: values.quick === true, sizes });
}

function readSizes(texts: readonly string[]): Settings {
  return Object.fromEntries(texts.map((text) => text.split('=')).map(([name = '', value]) => [name, value ? Number(value) : Number.NaN]));
}

function has(points: readonly Point[], name: string): boolean {
  return points.every(({ settings }) => name in settings);
}

function withSizes(benchmark: Benchmark, sizes: Settings): Benchmark {
  const sized = (points: readonly Point[]) =>
    points.map((point) => Object.assign({}, point, { settings: { ...point.settings, ...sizes } }));
  return { ...benchmark, points: sized(benchmark.points), ...(benchmark.quickPoints && { quickPoints: sized(benchmark.quickPoints) }) };
}

interface Order {
  readonly quick: boolean;
  readonly sizes: Settings;
}

async function runAll(chosen: readonly Benchmark[], benchmarks: readonly Benchmark[], { quick, sizes }: Order): Promise<number> {
  const measured: Measurement[] = [];
  let exitCode = 0;
  for (const benchmark of chosen) {
    try {
      const told = await measure(withSizes(benchmark, sizes), quick, (line) => console.error(line));
      const measurement = Object.keys(sizes).length > 0 ? { ...told, sizes } : told;
      measured.push(measurement);
      print(`\n${benchmark.name} (${measurement.seconds} s)\n${renderTable(benchmark, measurement)}\n`);
      // Written after each, so that a run that is cut short keeps what it has.
      if (!quick) await writeReport(measured, benchmarks);
    } catch (error) {
      exitCode = 1;
      console.error(`${benchmark.name}: ${(error as Error).message}`);
    }
  }
  return exitCode;
}

function print(text: string, exitCode = 0): number {
  console.log(text);
  return exitCode;
}
