import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { Metrics } from '../case/run-case.ts';
import { processorModel } from './machine.ts';
import { runTogether, runVariant } from './run-variant.ts';
import type { Benchmark, Measurement, Point, Series } from './types.ts';

/** Says what was measured, as it comes. */
export type Tell = (line: string) => void;

/** Runs a benchmark: at each point all variants one after the other, round by round (A B A B). */
export async function measure(benchmark: Benchmark, quick: boolean, tell: Tell): Promise<Measurement> {
  const startedAtMs = Date.now();
  const loadBefore = loadavg()[0]!;
  const stolenBefore = stolenTicks();
  const series: Series[] = [];
  for (const point of (quick && benchmark.quickPoints) || benchmark.points)
    series.push(...(await measurePoint(benchmark, point, quick, tell)));
  return {
    benchmark: benchmark.name,
    at: new Date(startedAtMs).toISOString(),
    quick,
    cpu: processorModel(),
    load: [loadBefore, loadavg()[0]!],
    ...stolenSince(stolenBefore),
    seconds: Math.round((Date.now() - startedAtMs) / 1000),
    series,
  };
}

/** Time that the host of a virtual machine has given to others, and all time, in ticks of all cores. */
function stolenTicks(): { readonly stolen: number; readonly all: number } | undefined {
  try {
    const ticks = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
    return { stolen: ticks[7]!, all: ticks.reduce((sum, part) => sum + part, 0) };
  } catch {
    return undefined;
  }
}

function stolenSince(before: ReturnType<typeof stolenTicks>): { readonly stolen?: number } {
  const now = stolenTicks();
  return before && now && now.all > before.all ? { stolen: (now.stolen - before.stolen) / (now.all - before.all) } : {};
}

async function measurePoint(benchmark: Benchmark, point: Point, quick: boolean, tell: Tell): Promise<Series[]> {
  const rounds = quick ? (benchmark.quickRounds ?? 1) : (point.rounds ?? benchmark.rounds);
  if (benchmark.sideBySide) return measureTogether(benchmark, point, rounds, tell);
  const results = new Map<string, Metrics[]>(benchmark.variants.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const variant of benchmark.variants) {
      if (!isDue(benchmark, variant, point, round)) continue;
      const metrics = await runVariant(benchmark, variant, point.settings);
      results.get(variant)!.push(metrics);
      tell(`${benchmark.name} ${point.label}, ${variant}, round ${round + 1} of ${rounds}: ${format(metrics)}`);
    }
  }
  return [...results].filter(([, done]) => done.length > 0).map(([variant, done]) => ({ point: point.label, variant, rounds: done }));
}

async function measureTogether(benchmark: Benchmark, point: Point, rounds: number, tell: Tell): Promise<Series[]> {
  const countOf = (variant: string) => Array.from({ length: rounds }).filter((_, round) => isDue(benchmark, variant, point, round)).length;
  const counts = benchmark.variants.map((variant) => [variant, countOf(variant)] as const).filter(([, count]) => count > 0);
  const results = Object.entries(await runTogether(benchmark, Object.fromEntries(counts), point.settings));
  for (const [variant, done] of results)
    for (const [round, metrics] of done.entries())
      tell(`${benchmark.name} ${point.label}, ${variant}, round ${round + 1} of ${done.length}: ${format(metrics)}`);
  return results.map(([variant, done]) => ({ point: point.label, variant, rounds: done }));
}

function isDue({ rare }: Benchmark, variant: string, point: Point, round: number): boolean {
  const limits = rare?.[variant];
  return limits === undefined || (round < limits.rounds && limits.points.includes(point.label));
}

function format(metrics: Metrics): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join(', ');
}
