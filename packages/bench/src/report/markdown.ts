import type { Benchmark, Measurement, Results } from '../harness/types.ts';
import { advantage, figuresOf, goalText, type MeasuredFigure, type Spread } from './figures.ts';

/** The page docs/benchmarks.md, from nothing but what was measured and the list of benchmarks. */
export function renderMarkdown(results: Results, benchmarks: readonly Benchmark[]): string {
  const sections = benchmarks.flatMap((benchmark) => {
    const measurement = results.measurements.find(({ benchmark: name }) => name === benchmark.name);
    return measurement ? [renderBenchmark(benchmark, measurement, results.machine.cpu)] : [];
  });
  return [heading, renderMachine(results), chart, ...sections, ''].join('\n\n');
}

/** The table of one benchmark, for the terminal too. */
export function renderTable(benchmark: Benchmark, measurement: Measurement): string {
  const rows = figuresOf(benchmark, measurement).map(renderRow);
  return ['| figure | ours | peers | ours is better by | goal | reached |', '|---|---|---|---|---|---|', ...rows].join('\n');
}

const heading = `# Benchmarks

Written by \`pnpm bench\` from what it measured (\`docs/benchmarks.json\`); do not edit. The runs of ours and of the peers
take turns, round by round. A figure is the median of the rounds, with the lowest and the highest beside it; a ratio compares the rounds that
stood beside each other, and above 1 ours is better. CPU figures are user plus system time, which neighbours on the machine disturb less than the clock.
No test asserts any of these times.`;

const chart = '![Ours beside the peers](images/benchmarks.svg)';

function renderMachine({ machine }: Results): string {
  const versions = Object.entries(machine.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
  return `Machine: ${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, ${machine.system}. Versions: ${versions}.`;
}

function renderBenchmark(benchmark: Benchmark, measurement: Measurement, newestCpu: string): string {
  const [before, after] = measurement.load.map((load) => load.toFixed(1));
  const conditions = `Measured ${measurement.at.slice(0, 16).replace('T', ' ')} UTC in ${measurement.seconds} s; load ${before} before, ${after} after${stolenPart(measurement)}${elsewhere(measurement, newestCpu)}${sizesPart(measurement)}.`;
  return [`## ${benchmark.name}`, `${benchmark.about} ${conditions}`, renderTable(benchmark, measurement)].join('\n\n');
}

function sizesPart({ sizes = {} }: Measurement): string {
  const named = Object.entries(sizes).map(([name, value]) => `${name} ${value.toLocaleString('en')}`);
  return named.length === 0 ? '' : `; sizes: ${named.join(', ')}`;
}

function renderRow(measured: MeasuredFigure): string {
  const { figure, ours, peers, reached } = measured;
  const value = (spread: Spread) => `${number(spread.median, figure.digits)} (${range(spread, figure.digits)})`;
  const others = peers.map((peer) => `${peer.variant} ${value(peer)}`).join('; ');
  const ratios = peers.map((peer) => ratio(advantage(figure, ours, peer))).join('; ');
  const answer = reached === undefined ? '' : reached ? 'yes' : '**no**';
  return `| ${figure.title}, ${figure.unit} | ${ours.variant} **${number(ours.median, figure.digits)}** (${range(ours, figure.digits)}) | ${others} | ${ratios} | ${goalText(figure)} | ${answer} |`;
}

function ratio({ median, min, max, rounds }: Spread): string {
  const spread = rounds.length === 1 ? '' : ` (${min.toPrecision(3)}-${max.toPrecision(3)})`;
  return `${median.toPrecision(3)}x${spread}`;
}

function range({ min, max, rounds }: Spread, digits: number): string {
  return rounds.length === 1 ? 'one round' : `${number(min, digits)}-${number(max, digits)}`;
}

function number(value: number, digits: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A virtual machine stands still while its host works for others: delays of milliseconds then are the host's. */
function stolenPart({ stolen }: Measurement): string {
  return stolen === undefined ? '' : `; the host took ${(100 * stolen).toFixed(1)} % of the cores meanwhile`;
}

function elsewhere({ cpu }: Measurement, newestCpu: string): string {
  return cpu === newestCpu ? '' : `; on another machine (${cpu})`;
}
