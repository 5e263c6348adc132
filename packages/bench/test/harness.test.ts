import { expect, test } from 'vitest';
import { runCommand } from '../src/harness/command.ts';
import { measure } from '../src/harness/measure.ts';
import type { Benchmark, Measurement } from '../src/harness/types.ts';
import { benchmarks } from '../src/benchmarks.ts';
import { renderChart } from '../src/report/chart.ts';
import { advantage, figuresOf } from '../src/report/figures.ts';
import { renderMarkdown } from '../src/report/markdown.ts';

const machine = { cpu: 'a & b', cores: 2, memoryGb: 8, system: 'Linux', versions: { node: '24.0.0' } };

const flood: Benchmark = {
  name: 'flood',
  about: 'A flood.',
  file: 'packages/events/bench/flood.ts',
  variants: ['coalesced', 'undici + parser'],
  points: [{ label: '', settings: { events: 20_000 } }],
  rounds: 1,
  sources: true,
  figures: [
    {
      title: 'CPU per event',
      metric: 'mainThreadUsPerEvent',
      unit: 'us',
      digits: 2,
      better: 'lower',
      ours: 'coalesced',
      peers: ['undici + parser'],
      goal: { value: 1 },
      inChart: true,
    },
  ],
};

test('a synthetic benchmark runs ours and its peer, and each delta arrives', async () => {
  const lines: string[] = [];
  const { series, quick } = await measure(flood, true, (line) => lines.push(line));
  expect(quick).toBe(true);
  expect(series.map(({ variant, rounds }) => [variant, rounds.length])).toEqual([
    ['coalesced', 1],
    ['undici + parser', 1],
  ]);
  for (const { rounds } of series) expect(rounds[0]!['eventsPerSecond']).toBeGreaterThan(0);
  expect(lines).toHaveLength(2);
});

test('a benchmark whose program fails says why', async () => {
  const unknown = { ...flood, variants: ['nobody'] };
  await expect(measure(unknown, true, () => undefined)).rejects.toThrow('variant: nobody is unknown');
});

test('a size that a benchmark does not have, or that is no number, is refused', async () => {
  for (const set of ['nothing=1', 'events', 'events=many']) expect(await runCommand(['flood', '--set', set], [flood]), set).toBe(2);
});

const measured: Measurement = {
  benchmark: 'flood',
  at: '2026-01-02T03:04:05.000Z',
  quick: false,
  cpu: 'a & b',
  load: [0.1, 0.9],
  seconds: 12,
  series: [
    { point: '', variant: 'coalesced', rounds: [1, 3, 2].map((value) => ({ mainThreadUsPerEvent: value / 10 })) },
    { point: '', variant: 'undici + parser', rounds: [{ mainThreadUsPerEvent: 2 }, { mainThreadUsPerEvent: 4 }] },
  ],
};

test('figures are medians with their spread, and say whether the goal is reached', () => {
  expect(figuresOf(flood, measured)).toMatchObject([
    { ours: { median: 0.2, min: 0.1, max: 0.3, rounds: [0.1, 0.3, 0.2] }, peers: [{ median: 3, min: 2, max: 4 }], reached: true },
  ]);
  const [figure] = flood.figures;
  const answers = [
    { value: 0.1 },
    { above: -2, peer: 'undici + parser' },
    { ratio: 16, peer: 'undici + parser' },
    { ratio: 17, peer: 'undici + parser' },
  ].map((goal) => figuresOf({ ...flood, figures: [{ ...figure!, goal }] }, measured)[0]?.reached);
  expect(answers).toEqual([false, true, true, false]);
});

test('rounds that stood beside each other are compared with each other', () => {
  const series = [
    { point: '', variant: 'coalesced', rounds: [1, 2, 10].map((mainThreadUsPerEvent) => ({ mainThreadUsPerEvent })) },
    { point: '', variant: 'undici + parser', rounds: [3, 4, 10].map((mainThreadUsPerEvent) => ({ mainThreadUsPerEvent })) },
  ];
  const [{ figure, ours, peers }] = figuresOf(flood, { ...measured, series }) as [ReturnType<typeof figuresOf>[0]];
  expect(advantage(figure, ours, peers[0]!)).toMatchObject({ rounds: [3, 2, 1], median: 2, min: 1, max: 3 });
  expect(renderMarkdown({ machine, measurements: [{ ...measured, series }] }, [flood])).toContain('| 2.00x (1.00-3.00) |');
});

test('a figure over another point compares the two round by round', () => {
  const at = (point: string, values: readonly number[]) => ({
    point,
    variant: 'coalesced',
    rounds: values.map((mainThreadUsPerEvent) => ({ mainThreadUsPerEvent })),
  });
  const grown = { ...flood, figures: [{ ...flood.figures[0]!, point: 'many', over: 'few', peers: [], goal: { value: 2 } }] };
  const measurement = { ...measured, series: [at('few', [1, 2, 5]), at('many', [2, 6, 5])] };
  expect(figuresOf(grown, measurement)).toMatchObject([{ ours: { rounds: [2, 3, 1], median: 2 }, reached: true }]);
  expect(figuresOf(grown, { ...measured, series: [at('many', [2, 6, 5])] })).toEqual([]);
});

test('variants side by side take turns in one process, and their order changes with each round', async () => {
  const beside: Benchmark = {
    ...flood,
    file: 'packages/bench/test/side-by-side.ts',
    variants: ['first', 'second', 'seldom'],
    rare: { seldom: { rounds: 1, points: [''] } },
    points: [{ label: '', settings: { size: 5 } }],
    rounds: 2,
    sideBySide: true,
  };
  const { series } = await measure(beside, false, () => undefined);
  const turns = series.map(({ variant, rounds }) => [variant, rounds.map(({ turn, size }) => [turn, size])]);
  expect(turns).toEqual([
    [
      'first',
      [
        [0, 5],
        [4, 5],
      ],
    ],
    [
      'second',
      [
        [1, 5],
        [3, 5],
      ],
    ],
    ['seldom', [[2, 5]]],
  ]);
  await expect(measure({ ...beside, variants: ['nobody'] }, false, () => undefined)).rejects.toThrow('variant: nobody is unknown');
});

test('page and chart hold what was measured', () => {
  const results = { machine, measurements: [measured] };
  const row =
    '| CPU per event, us | coalesced **0.20** (0.10-0.30) | undici + parser 3.00 (2.00-4.00) | 16.7x (13.3-20.0) | <= 1 us | yes |';
  expect(renderMarkdown(results, [flood])).toContain(row);
  expect(renderMarkdown(results, [flood])).not.toContain('another machine');
  const older = { machine, measurements: [{ ...measured, cpu: 'older' }] };
  expect(renderMarkdown(older, [flood])).toContain('0.9 after; on another machine (older).');
  const sized = { machine, measurements: [{ ...measured, sizes: { events: 1000 } }] };
  expect(renderMarkdown(sized, [flood])).toContain('0.9 after; sizes: events 1,000.');
  expect(renderChart(results, [flood])).toContain('>undici + parser</text>');
  const { inChart: _, ...unchosen } = flood.figures[0]!;
  expect(renderChart(results, [{ ...flood, figures: [unchosen] }])).not.toContain('undici + parser');
});

test('every benchmark has a name of its own, and figures of its own variants and points', () => {
  expect(new Set(benchmarks.map(({ name }) => name)).size).toBe(benchmarks.length);
  for (const { name, variants, points, figures } of benchmarks) {
    const labels = points.map(({ label }) => label);
    for (const { ours, peers, point, over } of figures) {
      expect(variants, name).toEqual(expect.arrayContaining([ours, ...peers]));
      for (const label of [point, over]) if (label !== undefined) expect(labels, name).toContain(label);
    }
  }
});
