import type { Benchmark, Figure } from './harness/types.ts';

const switches = [
  "the engine's own allocator",
  'snapshots on',
  'default plugins on',
  'LSP on',
  'formatter on',
  'file watcher on',
  'project configuration and skills on',
  'titles generated',
  'catalogue of models read',
  'models fetch on, refused',
  'log level DEBUG',
  'log level ERROR',
  '3,000 files',
  '3,000 files, snapshots on',
  'outside git',
];

const settings: Benchmark = {
  name: 'settings',
  about:
    'Which settings of opencode make a batch fast: the settings of the `batch` profile, and the same with one switch the other way. Ten prompts at once with an instant scripted model in one git repository, from a bare undici loop; CPU is that of the server and its children.',
  file: 'packages/core/bench/settings.ts',
  variants: ['batch profile', ...switches],
  points: [{ label: '', settings: { prompts: 60 } }],
  rounds: 2,
  onRequest: true,
  figures: [
    {
      title: 'CPU per prompt',
      metric: 'cpuSecondsPerPrompt',
      unit: 's',
      digits: 3,
      better: 'lower',
      ours: 'batch profile',
      peers: switches,
    },
    {
      title: 'Prompts a second',
      metric: 'promptsPerSecond',
      unit: 'prompts/s',
      digits: 1,
      better: 'higher',
      ours: 'batch profile',
      peers: switches,
    },
  ],
};

const loads = [1, 10, 50];

const servers: Benchmark = {
  name: 'servers',
  about:
    'Whether two isolated servers, with a pool each, beat one on this machine, and from which load on. Real opencode, instant scripted model.',
  file: 'packages/actors/bench/servers.ts',
  variants: ['one server', 'two servers'],
  points: loads.map((concurrency) => ({ label: String(concurrency), settings: { concurrency, prompts: concurrency === 1 ? 40 : 100 } })),
  rounds: 2,
  onRequest: true,
  figures: loads.flatMap((count): Figure[] => [
    {
      title: `Prompts a second, ${count} at once`,
      point: String(count),
      metric: 'promptsPerSecond',
      unit: 'prompts/s',
      digits: 2,
      better: 'higher',
      ours: 'two servers',
      peers: ['one server'],
    },
    {
      title: `CPU per prompt, ${count} at once`,
      point: String(count),
      metric: 'cpuSecondsPerPrompt',
      unit: 's',
      digits: 3,
      better: 'lower',
      ours: 'two servers',
      peers: ['one server'],
    },
  ]),
};

const writers = [1, 10, 30, 100];

const streaming: Benchmark = {
  name: 'streaming',
  about:
    'What turns cost whose model writes for a while: 300 tokens, 40 a second. A pool on one server, or two with a server each, and `opencode run`, a process for each turn, whose start counts; the servers stand already. Real opencode, scripted model. CPU of a turn is that of opencode and of the benchmarking process, in which pool and model run.',
  file: 'packages/actors/bench/streaming.ts',
  variants: ['one server', 'two servers', 'opencode run'],
  rare: {
    'two servers': { rounds: 2, points: ['30', '100'] },
    'opencode run': { rounds: 1, points: ['1', '10'] },
  },
  points: writers.map((sessions) => ({ label: String(sessions), settings: { sessions } })),
  quickPoints: [{ label: '10', settings: { sessions: 10, tokens: 60 } }],
  rounds: 2,
  onRequest: true,
  figures: writers.flatMap((count): Figure[] => {
    const peers = count > 10 ? ['two servers'] : ['opencode run'];
    const shared = { point: String(count), digits: 2, ours: 'one server', peers };
    const title = (what: string) => `${what}, ${count} at once`;
    return [
      { ...shared, title: title('CPU per turn'), metric: 'cpuSecondsPerTurn', unit: 's', better: 'lower' },
      { ...shared, title: title('Cores of opencode'), metric: 'opencodeCores', unit: 'cores', better: 'lower' },
      { ...shared, title: title('A turn, times as long as the model writes'), metric: 'timesTheModel', unit: 'times', better: 'lower' },
      { ...shared, title: title('Deltas a second'), metric: 'deltasPerSecond', unit: 'deltas/s', digits: 0, better: 'higher' },
    ];
  }),
};

const boundary: Benchmark = {
  name: 'boundary',
  about:
    'What crosses the thread boundary best: events as objects, as one JSON text, or as two texts, of which one names once what deltas share and the other holds what the server wrote. Batches of 1,000 events of a flood, every delta by itself.',
  file: 'packages/events/bench/boundary.ts',
  variants: ['heads and bodies', 'JSON text', 'objects'],
  points: [{ label: '', settings: { batches: 1000 } }],
  rounds: 3,
  sources: true,
  onRequest: true,
  figures: [
    {
      title: 'Main-thread CPU per event',
      metric: 'mainThreadUsPerEvent',
      unit: 'us',
      digits: 2,
      better: 'lower',
      ours: 'heads and bodies',
      peers: ['JSON text', 'objects'],
    },
    {
      title: "The worker's CPU per event",
      metric: 'workerUsPerEvent',
      unit: 'us',
      digits: 2,
      better: 'lower',
      ours: 'heads and bodies',
      peers: ['JSON text', 'objects'],
    },
  ],
};

const frames = [0, 4, 8, 16, 33];

const frame: Benchmark = {
  name: 'frame',
  about:
    'Frames of different length: the delay of a delta and the cost of an event on the main thread at 1,000 events a second, and the cost in a flood. 0 delivers each read of the socket at once.',
  file: 'packages/events/bench/frame.ts',
  variants: ['frame'],
  points: frames.map((frameMs) => ({ label: String(frameMs), settings: { frameMs } })),
  rounds: 2,
  sources: true,
  onRequest: true,
  figures: frames.flatMap((frameMs): Figure[] => [
    framed(frameMs, 'Delay of a delta p50', 'p50Ms', 'ms', 1),
    framed(frameMs, 'Delay of a delta p99', 'p99Ms', 'ms', 1),
    framed(frameMs, 'Main-thread CPU per event, 1,000 a second', 'trickleUsPerEvent', 'us', 1),
    framed(frameMs, 'Main-thread CPU per event, flood', 'floodUsPerEvent', 'us', 2),
  ]),
};

function framed(frameMs: number, title: string, metric: string, unit: string, digits: number): Figure {
  return { title: `${title}, ${frameMs} ms`, point: String(frameMs), metric, unit, digits, better: 'lower', ours: 'frame', peers: [] };
}

/** Figures of two ways to do the same; less is better in all of them. */
function besideOne(
  ours: string,
  peer: string,
  rows: readonly (readonly [title: string, metric: string, unit: string, digits: number])[],
): Figure[] {
  return rows.map(([title, metric, unit, digits]) => ({ title, metric, unit, digits, better: 'lower', ours, peers: [peer] }));
}

const threads: Benchmark = {
  name: 'threads',
  about:
    'Whether the streams of several servers should share a thread: four servers, each with 1,000 events a second of 25 sessions. CPU is that of all threads of the client.',
  file: 'packages/events/bench/threads.ts',
  variants: ['one thread', 'a thread each'],
  points: [{ label: '', settings: {} }],
  rounds: 3,
  sources: true,
  onRequest: true,
  figures: besideOne('one thread', 'a thread each', [
    ['CPU per event, all threads', 'processUsPerEvent', 'us', 1],
    ['Delay of a delta p50', 'p50Ms', 'ms', 1],
    ['Delay of a delta p99', 'p99Ms', 'ms', 1],
    ['Peak memory of the client', 'peakMemoryMb', 'MB', 0],
  ]),
};

const directories: Benchmark = {
  name: 'directories',
  about:
    'Whether a server should forget directories without a turn: 120 tasks that each have a repository of their own, four at once. The pool keeps the 16 idle ones that were used last, or all. Real opencode, instant scripted model; the last tasks are the last 20.',
  file: 'packages/actors/bench/directories.ts',
  variants: ['16 kept', 'all kept'],
  points: [{ label: '', settings: { directories: 120, concurrency: 4 } }],
  quickPoints: [{ label: '', settings: { directories: 24, concurrency: 4 } }],
  rounds: 2,
  deadlineMs: 400_000,
  onRequest: true,
  figures: besideOne('16 kept', 'all kept', [
    ['Memory of the server at the end', 'serverMemoryMb', 'MB', 0],
    ['Time of a task, among the last', 'lastTaskMs', 'ms', 0],
    ['CPU of the server per task', 'cpuSecondsPerTask', 's', 2],
  ]),
};

/** Benchmarks that settled a question of the design (docs/decisions); each runs when it is named. */
export const questions: readonly Benchmark[] = [settings, servers, streaming, boundary, frame, threads, directories];
