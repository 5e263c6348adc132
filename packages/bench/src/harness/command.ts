import { parseArgs } from 'node:util';
import { renderTable } from '../report/markdown.ts';
import { writeReport } from '../report/results-file.ts';
import { measure } from './measure.ts';
import type { Benchmark, Measurement } from './types.ts';

const help = `pnpm bench [names...] [--quick] [--list]

Runs the benchmarks that are named, or all of them, and writes docs/benchmarks.md with its chart from what was measured.
  --quick   one round at a small size; nothing is written
  --list    the names`;

/** Runs the command line; gives the exit code. */
export async function runCommand(args: readonly string[], benchmarks: readonly Benchmark[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, list: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) return print(help);
  if (values.list) return print(benchmarks.map(({ name, about }) => `${name.padEnd(16)} ${about}`).join('\n'));
  const unknown = positionals.find((name) => !benchmarks.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined) return print(`${unknown}: no such benchmark; there are ${benchmarks.map(({ name }) => name).join(', ')}`, 2);
  const chosen = benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return await runAll(chosen, benchmarks, values.quick === true);
}

async function runAll(chosen: readonly Benchmark[], benchmarks: readonly Benchmark[], quick: boolean): Promise<number> {
  const measured: Measurement[] = [];
  let exitCode = 0;
  for (const benchmark of chosen) {
    try {
      const measurement = await measure(benchmark, quick, (line) => console.error(line));
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
