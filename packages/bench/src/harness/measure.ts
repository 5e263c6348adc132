import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { Metrics } from '../case/run-case.ts';
import { processorModel } from './machine.ts';
import { runTogether, runVariant } from './run-variant.ts';
import type { Benchmark, Measurement, Point, Series } from './types.ts';

/** Says what was measured, as it comes. */
export type Tell = (line: string) => void;

/** Runs a benchmark: all points and variants one after the other, round by round (A B A B), so that an hour's mood of the machine is in all of them. */
export async function measure(benchmark: Benchmark, quick: boolean, tell: Tell): Promise<Measurement> {
  const startedAtMs = Date.now();
  const loadBefore = loadavg()[0]!;
  const stolenBefore = stolenTicks();
  const points = (quick && benchmark.quickPoints) || benchmark.points;
  const plan = points.map((point) => ({ point, count: roundsOf(benchmark, point, quick) }));
  const series = await (benchmark.sideBySide ? measureTogether : measureInTurn)(benchmark, plan, tell);
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

/** A size, and how many rounds there are of it. */
interface Due {
  readonly point: Point;
  readonly count: number;
}

function roundsOf(benchmark: Benchmark, point: Point, quick: boolean): number {
  return quick ? (benchmark.quickRounds ?? 1) : (point.rounds ?? benchmark.rounds);
}

async function measureInTurn(benchmark: Benchmark, plan: readonly Due[], tell: Tell): Promise<Series[]> {
  const lanes = plan.flatMap((due) => benchmark.variants.map((variant) => ({ ...due, variant, rounds: [] as Metrics[] })));
  for (let round = 0; round < Math.max(...plan.map(({ count }) => count)); round += 1) {
    for (const { point, count, variant, rounds } of lanes) {
      if (round >= count || !isDue(benchmark, variant, point, round)) continue;
      const metrics = await runVariant(benchmark, variant, point.settings);
      rounds.push(metrics);
      tell(`${benchmark.name} ${point.label}, ${variant}, round ${round + 1} of ${count}: ${format(metrics)}`);
    }
  }
  return lanes.filter(({ rounds }) => rounds.length > 0).map(({ point, variant, rounds }) => ({ point: point.label, variant, rounds }));
}

/** One process a size, which runs all variants. */
async function measureTogether(benchmark: Benchmark, plan: readonly Due[], tell: Tell): Promise<Series[]> {
  const series: Series[] = [];
  for (const { point, count } of plan) {
    const roundsDue = (variant: string) =>
      Array.from({ length: count }).filter((_, round) => isDue(benchmark, variant, point, round)).length;
    const counts = benchmark.variants.map((variant) => [variant, roundsDue(variant)] as const).filter(([, due]) => due > 0);
    for (const [variant, rounds] of Object.entries(await runTogether(benchmark, Object.fromEntries(counts), point.settings))) {
      for (const [round, metrics] of rounds.entries())
        tell(`${benchmark.name} ${point.label}, ${variant}, round ${round + 1} of ${rounds.length}: ${format(metrics)}`);
      series.push({ point: point.label, variant, rounds });
    }
  }
  return series;
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
