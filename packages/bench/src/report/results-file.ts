import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeMachine, repository } from '../harness/machine.ts';
import type { Benchmark, Measurement, Results } from '../harness/types.ts';
import { renderChart } from './chart.ts';
import { renderMarkdown } from './markdown.ts';

const resultsFile = join(repository, 'docs', 'benchmarks.json');

/** Puts new measurements in the place of older ones of the same benchmarks, and writes page and chart from all of them. */
export async function writeReport(measured: readonly Measurement[], benchmarks: readonly Benchmark[]): Promise<void> {
  const kept = (await knownMeasurements()).filter(({ benchmark }) => !measured.some((one) => one.benchmark === benchmark));
  const results: Results = { machine: describeMachine(), measurements: [...kept, ...measured] };
  await writeFile(resultsFile, `${JSON.stringify(results, rounded, 1)}\n`);
  await writeFile(join(repository, 'docs', 'benchmarks.md'), renderMarkdown(results, benchmarks));
  await writeFile(join(repository, 'docs', 'images', 'benchmarks.svg'), renderChart(results, benchmarks));
}

async function knownMeasurements(): Promise<readonly Measurement[]> {
  const text = await readFile(resultsFile, 'utf8').catch(() => undefined);
  return text === undefined ? [] : (JSON.parse(text) as Results).measurements;
}

/** Digits beyond the fifth say nothing. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}
