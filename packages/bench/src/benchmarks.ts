import type { Benchmark, Figure, Point } from './harness/types.ts';
import { conditions, opencode2, throughput } from './prompt-benchmarks.ts';
import { runJournal, taskWorkspaces } from './run-benchmarks.ts';

const streamPeers = ['SDK', 'eventsource', 'undici + parser'];
const only = (settings: Point['settings']): Point[] => [{ label: '', settings }];
const at = (name: string, values: readonly number[], rest: Point['settings'] = {}): Point[] =>
  values.map((value) => ({ label: value.toLocaleString('en'), settings: { [name]: value, ...rest } }));

const flood: Benchmark = {
  name: 'flood',
  about:
    'The event stream of 100 working sessions (85 % deltas) as fast as a client takes it, from a synthetic server in a process of its own. Peers: the official SDK (`event.subscribe`), the package `eventsource`, and undici with eventsource-parser, all on the main thread and on `/event`; ours reads `/global/event`, which has an eighth more records.',
  file: 'packages/events/bench/flood.ts',
  variants: ['coalesced', 'SDK', 'every delta', 'eventsource', 'undici + parser'],
  points: only({ events: 1_000_000 }),
  quickPoints: only({ events: 50_000 }),
  rounds: 5,
  figures: [
    { ...flooded('Main-thread CPU per event, deltas joined', 'mainThreadUsPerEvent', 'coalesced', { value: 0.45 }), inChart: true },
    flooded('Main-thread CPU per event, every delta', 'mainThreadUsPerEvent', 'every delta', { value: 1 }),
    { ...flooded('Event-loop delay p99 in the flood', 'delayP99Ms', 'coalesced', { value: 20 }), unit: 'ms', digits: 1, inChart: true },
    {
      ...flooded('Events a second end to end', 'eventsPerSecond', 'coalesced', { value: 300_000 }),
      unit: 'events/s',
      digits: 0,
      better: 'higher',
      inChart: true,
    },
    flooded('CPU per event, all threads', 'processUsPerEvent', 'coalesced'),
  ],
};

function flooded(title: string, metric: string, ours: string, goal?: Figure['goal']): Figure {
  return { title, metric, unit: 'us', digits: 2, better: 'lower', ours, peers: streamPeers, ...(goal && { goal }) };
}

const latency: Benchmark = {
  name: 'latency',
  about:
    'From the server\'s write to the subscriber, 1,000 events a second of 100 sessions. `low latency` is `EventMonitor.open(server, { latency: "low" })`; `frame` is the default, which joins deltas for up to 16 ms.',
  file: 'packages/events/bench/latency.ts',
  variants: ['low latency', 'SDK', 'frame', 'eventsource', 'undici + parser'],
  points: only({ events: 3000 }),
  quickPoints: only({ events: 500 }),
  rounds: 3,
  figures: [
    delayed('Delay of a delta p50, at once', 'p50Ms', 'low latency', 2),
    delayed('Delay of a delta p99, at once', 'p99Ms', 'low latency', 10),
    delayed('Delay of a delta p50, by frames', 'p50Ms', 'frame'),
    delayed('Delay of a delta p99, by frames', 'p99Ms', 'frame'),
    { ...delayed('Main-thread CPU per event, at once', 'mainThreadUsPerEvent', 'low latency'), unit: 'us', digits: 1 },
    { ...delayed('Main-thread CPU per event, by frames', 'mainThreadUsPerEvent', 'frame'), unit: 'us', digits: 1 },
  ],
};

function delayed(title: string, metric: string, ours: string, goal?: number): Figure {
  return {
    title,
    metric,
    unit: 'ms',
    digits: 2,
    better: 'lower',
    ours,
    peers: streamPeers,
    ...(goal !== undefined && { goal: { value: goal } }),
  };
}

const sessionCounts = [100, 1000, 10_000];

const sessionActor: Benchmark = {
  name: 'session-actor',
  about:
    'One session of the pool (its host, actor, observers and place in the registry) beside the smallest root actor that XState starts.',
  file: 'packages/actors/bench/session-actor.ts',
  variants: ['session host', 'bare root actor', 'session machine'],
  points: at('sessions', sessionCounts),
  quickPoints: at('sessions', [100]),
  rounds: 3,
  sources: true,
  flags: ['--expose-gc'],
  figures: sessionCounts.flatMap((count): Figure[] => [
    ofSession('Create and start', 'createUs', 'us', count),
    ofSession('Heap', 'heapKb', 'KB', count),
    ofSession('Stop', 'stopUs', 'us', count),
  ]),
};

function ofSession(title: string, metric: string, unit: string, count: number): Figure {
  const point = count.toLocaleString('en');
  const goal = { ratio: 0.5, peer: 'bare root actor' };
  return {
    title: `${title}, ${point} sessions`,
    point,
    metric,
    unit,
    digits: 1,
    better: 'lower',
    ours: 'session host',
    peers: ['bare root actor', 'session machine'],
    goal,
  };
}

const tasks: Benchmark = {
  name: 'tasks',
  about:
    "1,000 queued tasks, 100 at once, on a synthetic server that answers at once (opencode itself would be the bottleneck). The peer is a bare undici loop that waits for the session's idle on the stream, and proves nothing. `ocm run` is the built command, which keeps its own memory small; `pool, kept small` is a built program that is started in the same way (`MALLOC_ARENA_MAX=1 node --import @opencode-manager/core/small-memory`). The pool and the loop are TypeScript, and hold 17 MB of node's type stripper.",
  file: 'packages/actors/bench/tasks.ts',
  variants: ['pool', 'undici loop', 'pool, kept small', 'ocm run'],
  points: only({ tasks: 1000, concurrency: 100 }),
  rounds: 5,
  figures: [
    {
      title: 'Main-thread CPU per task',
      metric: 'mainThreadMsPerTask',
      unit: 'ms',
      digits: 2,
      better: 'lower',
      ours: 'pool',
      peers: ['undici loop'],
      goal: { value: 5 },
    },
    {
      title: 'Peak memory of the manager, 1,000 tasks',
      metric: 'peakMemoryMb',
      unit: 'MB',
      digits: 0,
      better: 'lower',
      ours: 'pool',
      peers: ['undici loop'],
      goal: { value: 150 },
      inChart: true,
    },
    {
      title: 'Peak memory of the manager, kept small',
      metric: 'peakMemoryMb',
      unit: 'MB',
      digits: 0,
      better: 'lower',
      ours: 'pool, kept small',
      peers: ['undici loop'],
      goal: { value: 150 },
    },
    {
      title: 'Peak memory of `ocm run`, 1,000 tasks',
      metric: 'peakMemoryMb',
      unit: 'MB',
      digits: 0,
      better: 'lower',
      ours: 'ocm run',
      peers: ['undici loop'],
      goal: { value: 150 },
    },
    {
      title: 'Tasks a second',
      metric: 'tasksPerSecond',
      unit: 'tasks/s',
      digits: 0,
      better: 'higher',
      ours: 'pool',
      peers: ['undici loop'],
    },
  ],
};

const startUp: Benchmark = {
  name: 'start-up',
  about: 'The command as it is installed, its shell included, beside a node that runs nothing; the median of 20 starts a round.',
  file: 'packages/cli/bench/start-up.ts',
  variants: ['node -e 0', 'ocm --help', 'ocm --version'],
  points: only({ starts: 20 }),
  quickPoints: only({ starts: 5 }),
  rounds: 3,
  figures: ['ocm --help', 'ocm --version'].flatMap((ours): Figure[] => [
    {
      title: ours,
      metric: 'wallMs',
      unit: 'ms',
      digits: 0,
      better: 'lower',
      ours,
      peers: ['node -e 0'],
      goal: { above: 60, peer: 'node -e 0' },
    },
    { title: `CPU of ${ours}`, metric: 'cpuMs', unit: 'ms', digits: 0, better: 'lower', ours, peers: ['node -e 0'] },
  ]),
};

/** Answers of a long turn, which has 302 events instead of 80: what an event costs beyond its share of the task. */
const answersOfLongTurn = 4;

const bareActors = 'bare actors';

const scale: Benchmark = {
  name: 'scale',
  about:
    '10,000 tasks (20,000 on 10,000 sessions) with realistic turns (80 events) on 100, 1,000 or 10,000 sessions at once, and 5,000 (14,000) with long ones (302 events), 54,000 events a second from a synthetic server, through the real worker, router, actors and pool. Events a second and the cost of one, which includes that of the tasks, are counted while all sessions work. The peer is the least that has an actor for each session: a bare undici loop with one of two states, all on the main thread; it proves nothing. Flat means: the cost does not grow with the number of sessions. `cold memory` is what this machine takes to read a place by chance where so many sessions lie, 16 KB each.',
  file: 'packages/actors/bench/scale.ts',
  variants: ['pool', bareActors, 'cold memory'],
  rare: { 'cold memory': { rounds: 1, points: sessionCounts.map((count) => count.toLocaleString('en')) } },
  points: [
    ...at('sessions', sessionCounts, { eventsPerSecond: 54_000 }),
    ...sessionCounts.map((sessions) => ({
      label: longTurnsOf(sessions),
      settings: { sessions, eventsPerSecond: 54_000, answersPerTurn: answersOfLongTurn, tasks: Math.max(5000, 1.4 * sessions) },
    })),
  ],
  quickPoints: at('sessions', [100], { tasks: 500 }),
  rounds: 3,
  deadlineMs: 360_000,
  figures: [
    ...sessionCounts.flatMap((count): Figure[] => [
      scaled('Main-thread CPU per event, tasks included', 'mainThreadUsPerEvent', 'us', count, 2),
      { ...scaled('Events a second', 'eventsPerSecond', 'events/s', count), ...(count === 10_000 && { goal: { value: 50_000 } }) },
      scaled('Event-loop delay p99', 'delayP99Ms', 'ms', count, 1),
      scaled('Peak memory of the manager', 'peakMemoryMb', 'MB', count),
      { ...scaled('Events dropped', 'dropped', 'events', count), peers: [] },
    ]),
    ...sessionCounts.map((count) =>
      scaled('Main-thread CPU per event of long turns, tasks included', 'mainThreadUsPerEvent', 'us', count, 2, longTurnsOf(count)),
    ),
    grown('Cost of an event, 10,000 sessions beside 100', '10,000', '100'),
    grown('Cost of an event of long turns, 10,000 sessions beside 100', longTurnsOf(10_000), longTurnsOf(100)),
    ...sessionCounts.map(coldRead),
  ],
};

function longTurnsOf(sessions: number): string {
  return `${sessions.toLocaleString('en')}, long turns`;
}

function scaled(title: string, metric: string, unit: string, count: number, digits = 0, point = count.toLocaleString('en')): Figure {
  const better = metric === 'eventsPerSecond' ? 'higher' : 'lower';
  return {
    title: `${title}, ${count.toLocaleString('en')} sessions`,
    point,
    metric,
    unit,
    digits,
    better,
    ours: 'pool',
    peers: [bareActors],
  };
}

/** What the machine takes, not what we do. */
function coldRead(count: number): Figure {
  return { ...scaled('A read of cold memory', 'readNs', 'ns', count), ours: 'cold memory', peers: [] };
}

/** Flat would be 1. The rounds of one size differ by a few percent, so a tenth above it is counted as growth. */
function grown(title: string, point: string, over: string): Figure {
  const metric = 'mainThreadUsPerEvent';
  return { title, point, over, metric, unit: 'times', digits: 2, better: 'lower', ours: 'pool', peers: [bareActors], goal: { value: 1.1 } };
}

const memory: Benchmark = {
  name: 'memory',
  about:
    "The live heap of a pool's main thread, and of the stream's thread, after 1,000 and after 100,000 finished tasks (a fresh session each), on a synthetic server that answers at once. At rest: two heartbeats of the server after the last task.",
  file: 'packages/actors/bench/memory.ts',
  variants: ['pool'],
  points: only({ few: 1000, many: 100_000 }),
  quickPoints: only({ few: 500, many: 3000 }),
  rounds: 1,
  flags: ['--expose-gc'],
  deadlineMs: 400_000,
  figures: [
    held('Live heap after 1,000 tasks, main thread', 'afterFewMb', 'MB'),
    held('Live heap after 100,000 tasks, main thread', 'afterManyMb', 'MB'),
    { ...held('Growth per task, main thread', 'growthBytesPerTask', 'bytes'), goal: { value: 10 } },
    held("Live heap after 1,000 tasks, stream's thread", 'threadAfterFewMb', 'MB'),
    held("Live heap after 100,000 tasks, stream's thread", 'threadAfterManyMb', 'MB'),
    { ...held("Growth per task, stream's thread", 'threadGrowthBytesPerTask', 'bytes'), goal: { value: 10 } },
  ],
};

function held(title: string, metric: string, unit: string): Figure {
  return { title, metric, unit, digits: unit === 'MB' ? 1 : 0, better: 'lower', ours: 'pool', peers: [] };
}

const launch: Benchmark = {
  name: 'launch',
  about:
    'From `launchServer` to a server that has answered with its own configuration, and to the end of a first turn, beside the bare binary in a home of its own: to its listening line, and to its first answer about a directory and first turn. `relaunch` is the same after the server was killed; `catalogued provider` enables one of which opencode has to know the models; `opencode 2` is `launchServer` with that. Real opencode, cold directories. CPU is that of the server.',
  file: 'packages/core/bench/launch.ts',
  variants: ['launchServer', 'listening line', 'first answer', 'relaunch', 'catalogued provider', 'opencode 2'],
  rare: {
    'opencode 2': { rounds: 5, points: [''] },
    'first answer': { rounds: 3, points: [''] },
    relaunch: { rounds: 3, points: [''] },
    'catalogued provider': { rounds: 3, points: [''] },
  },
  points: only({}),
  rounds: 11,
  figures: [
    {
      ...launching('A server is ready, over the listening line', 'readyMs', ['listening line']),
      goal: { above: 100, peer: 'listening line' },
      inChart: true,
    },
    launching('A server is ready, over the first answer', 'readyMs', ['first answer', 'relaunch', 'catalogued provider', 'opencode 2']),
    {
      ...launching('CPU until ready', 'readyCpuSeconds', [
        'listening line',
        'first answer',
        'relaunch',
        'catalogued provider',
        'opencode 2',
      ]),
      unit: 's',
      digits: 2,
    },
    launching('First turn done', 'turnMs', ['first answer', 'relaunch', 'catalogued provider', 'opencode 2']),
    {
      ...launching('CPU until the first turn is done', 'turnCpuSeconds', ['first answer', 'relaunch', 'catalogued provider', 'opencode 2']),
      unit: 's',
      digits: 2,
    },
    {
      ...launching('Memory of the server after a first turn', 'residentMb', [
        'first answer',
        'relaunch',
        'catalogued provider',
        'opencode 2',
      ]),
      unit: 'MB',
      inChart: true,
    },
  ],
};

function launching(title: string, metric: string, peers: readonly string[]): Figure {
  return { title, metric, unit: 'ms', digits: 0, better: 'lower', ours: 'launchServer', peers };
}

const workspace: Benchmark = {
  name: 'workspace',
  about:
    'The check of a workspace before each turn, when nothing has changed since the turn before: where the repository begins, what opencode would load there, and the AGENTS.md files that are sent.',
  file: 'packages/core/bench/workspace.ts',
  variants: ['a repository', 'four directories below its root', 'with 100 commands'],
  points: only({ turns: 500, atOnce: 100 }),
  rounds: 5,
  sources: true,
  figures: [checking('A turn waits for the check of its workspace', 'turnMs'), checking('Its main-thread CPU', 'mainThreadMsPerTurn')],
};

function checking(title: string, metric: string): Figure {
  const peers = ['four directories below its root', 'with 100 commands'];
  return { title, metric, unit: 'ms', digits: 2, better: 'lower', ours: 'a repository', peers, goal: { value: 1 } };
}

/** Every benchmark of the project, in the order of the report. */
export const benchmarks: readonly Benchmark[] = [
  throughput,
  conditions,
  opencode2,
  flood,
  latency,
  sessionActor,
  tasks,
  launch,
  workspace,
  startUp,
  taskWorkspaces,
  runJournal,
  scale,
  memory,
];
