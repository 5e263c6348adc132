import type { Benchmark, Figure } from './harness/types.ts';

const atOnce = [1, 10, 50];
const throughputPeers = ['undici loop', 'SDK, default server', 'opencode run'];

export const throughput: Benchmark = {
  name: 'throughput',
  about:
    "Prompts with an instant scripted model in one git repository; real opencode. Peers: `opencode run`, two processes at a time; the official SDK on a server with opencode's defaults; a bare undici loop on a server of our `batch` profile. All stand side by side and take turns, a few prompts at a time. CPU is that of the server, its children and the client.",
  file: 'packages/actors/bench/throughput.ts',
  variants: ['pool', 'undici loop', 'SDK, default server', 'opencode run'],
  rare: { 'opencode run': { rounds: 2, points: ['10'] }, 'SDK, default server': { rounds: 5, points: ['1', '10', '50'] } },
  points: [
    // Single rounds differ by a quarter to a half, and what is looked for is a fortieth: the median of 31 is known to a twentieth.
    { label: '1', settings: { concurrency: 1, prompts: 6 }, rounds: 121 },
    { label: '10', settings: { concurrency: 10, prompts: 30 } },
    { label: '50', settings: { concurrency: 50, prompts: 50 }, rounds: 61 },
  ],
  quickPoints: [{ label: '10', settings: { concurrency: 10, prompts: 20, processes: 2 } }],
  rounds: 31,
  sideBySide: true,
  deadlineMs: 900_000,
  figures: atOnce.flatMap((count): Figure[] => [
    prompted('Prompts a second', 'promptsPerSecond', 'prompts/s', count, { ratio: 0.97, peer: 'undici loop' }),
    prompted('Prompts a second, beside the SDK', 'promptsPerSecond', 'prompts/s', count, { ratio: 3, peer: 'SDK, default server' }),
    prompted('CPU per prompt', 'cpuSecondsPerPrompt', 's', count, count === 10 ? { ratio: 60, peer: 'opencode run' } : undefined),
  ]),
};

function prompted(title: string, metric: string, unit: string, count: number, goal?: Figure['goal']): Figure {
  const peers = goal && 'peer' in goal && metric === 'promptsPerSecond' ? [goal.peer] : throughputPeers;
  return {
    title: `${title}, ${count} at once`,
    point: String(count),
    metric,
    unit,
    digits: unit === 's' ? 3 : 2,
    better: unit === 's' ? 'lower' : 'higher',
    ours: 'pool',
    peers,
    ...(goal && { goal }),
    ...(count === 10 && { inChart: true as const }),
  };
}

const conditionPeers = ['SDK', 'SDK, titles given', 'SDK, snapshots off', 'SDK, both'];
const conditionPoints = ['1 file, new servers', '1 file, warm servers', '5,000 files, new servers'];

export const conditions: Benchmark = {
  name: 'conditions',
  about:
    "What the pool's lead over the official SDK is made of: 60 instant prompts a round, 10 at once, beside the SDK on a server with opencode's defaults, with titles given (opencode asks the model for one otherwise), with `snapshot: false`, and with both. New servers have served nothing before the first round, warm ones 300 prompts.",
  file: 'packages/actors/bench/conditions.ts',
  variants: ['pool', ...conditionPeers],
  points: [
    { label: conditionPoints[0]!, settings: { files: 1, warmUp: 0, concurrency: 10, prompts: 60 } },
    { label: conditionPoints[1]!, settings: { files: 1, warmUp: 300, concurrency: 10, prompts: 60 } },
    { label: conditionPoints[2]!, settings: { files: 5000, warmUp: 0, concurrency: 10, prompts: 60 } },
  ],
  quickPoints: [{ label: conditionPoints[0]!, settings: { files: 1, warmUp: 0, concurrency: 4, prompts: 8 } }],
  rounds: 4,
  sideBySide: true,
  deadlineMs: 900_000,
  figures: conditionPoints.map((point): Figure => ({
    title: `Prompts a second, ${point}`,
    point,
    metric: 'promptsPerSecond',
    unit: 'prompts/s',
    digits: 2,
    better: 'higher',
    ours: 'pool',
    peers: conditionPeers,
  })),
};

const choices = ['snapshots on', 'formatters on', 'language servers on', 'catalogue of models on'];
const titles = ['plain requests, titles given', 'plain requests, titles asked for'];
const sizesOf2 = atOnce.map(String);
const withEdits = '10 at once, each writes a file';

export const opencode2: Benchmark = {
  name: 'opencode-2',
  about:
    'The same pool with the profile `batch` on a server of opencode 2.0.15 and on one of opencode 1.18.33, an instant scripted model, one git repository. Below, the choices of the profile on opencode 2, taken back one at a time, with turns that write a file: beside the server that has them all. `catalogue of models on` enables a provider that opencode knows the models of. `titles asked for` leaves the title of a session to opencode, which asks the model for it. CPU is that of the server, its children and the client; memory is that of the server after its rounds.',
  file: 'packages/actors/bench/opencode-2.ts',
  variants: ['opencode 2', 'opencode 1', ...choices, ...titles],
  rare: {
    ...Object.fromEntries(choices.map((name) => [name, { rounds: 15, points: [withEdits] }])),
    ...Object.fromEntries(titles.map((name) => [name, { rounds: 15, points: ['10'] }])),
  },
  points: [
    { label: '1', settings: { concurrency: 1, prompts: 6 }, rounds: 41 },
    { label: '10', settings: { concurrency: 10, prompts: 30 } },
    { label: '50', settings: { concurrency: 50, prompts: 50 } },
    { label: withEdits, settings: { concurrency: 10, prompts: 20, edits: 1 }, rounds: 15 },
  ],
  quickPoints: [{ label: '10', settings: { concurrency: 10, prompts: 20 } }],
  rounds: 21,
  sideBySide: true,
  deadlineMs: 900_000,
  figures: [
    ...sizesOf2.flatMap((point): Figure[] => [
      on2('Prompts a second', 'promptsPerSecond', 'prompts/s', point, ['opencode 1']),
      on2('CPU per prompt', 'cpuSecondsPerPrompt', 's', point, ['opencode 1']),
      on2('Memory of the server', 'residentMb', 'MB', point, ['opencode 1']),
    ]),
    on2('Prompts a second', 'promptsPerSecond', 'prompts/s', withEdits, ['opencode 1', ...choices]),
    on2('CPU per prompt', 'cpuSecondsPerPrompt', 's', withEdits, ['opencode 1', ...choices]),
    on2('Memory of the server', 'residentMb', 'MB', withEdits, ['opencode 1', ...choices]),
    { ...on2('Prompts a second, titles', 'promptsPerSecond', 'prompts/s', '10', [titles[1]!]), ours: titles[0]! },
    { ...on2('CPU per prompt, titles', 'cpuSecondsPerPrompt', 's', '10', [titles[1]!]), ours: titles[0]! },
  ],
};

function on2(title: string, metric: string, unit: string, point: string, peers: readonly string[]): Figure {
  return {
    title: `${title}, ${point === withEdits ? point : `${point} at once`}`,
    point,
    metric,
    unit,
    digits: { s: 3, MB: 0 }[unit] ?? 2,
    better: unit === 'prompts/s' ? 'higher' : 'lower',
    ours: 'opencode 2',
    peers,
  };
}
