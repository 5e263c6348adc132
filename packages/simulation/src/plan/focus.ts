import type { Randomness } from '../world/randomness.ts';
import type { Oddity } from './draw-turn.ts';
import { points, type Action, type Fault, type Point, type TaskPlan, type When } from './types.ts';

/** What a world is about besides: things that seldom meet by chance, brought near to each other. */
interface Focus {
  readonly weight: number;
  /** After what it may come; any, if absent. */
  readonly moments?: readonly Point[];
  /** How likely its moment is a time; else something that happened. */
  readonly timed?: number;
  /** Ways in which most turns are odd. */
  readonly turns?: readonly Oddity[];
  /** What happens around one moment: how likely, and how many milliseconds before or after it. */
  readonly events: readonly Around[];
}

type Around = readonly [chance: number, fromMs: number, toMs: number, what: (random: Randomness) => Happening];
type Happening = { readonly action: Without<Action> } | { readonly fault: Without<Fault> };
type Without<Item> = Item extends unknown ? Omit<Item, 'when'> : never;

const does = (action: Without<Action>) => () => ({ action });
const fails = (fault: Without<Fault>) => () => ({ fault });
const abort = (random: Randomness) => ({ action: { do: 'abort', key: `T${random.whole(0, 2)}` } as const });
const lease = 'L80';
const prompt: TaskPlan = { script: 0 };
const cut = (random: Randomness) =>
  ({ fault: { what: 'cut', silent: random.chance(0.3), forMs: random.pick([0, 300, 2000, 9000, 30_000]) } }) as const;
const meddle = (random: Randomness) =>
  ({
    fault: {
      what: random.pick(['deletesOutside', 'abortsOutside', 'promptsOutside'] as const),
      which: random.pick(['last', 'idle'] as const),
    },
  }) as const;
const failedStarts = (random: Randomness) => ({ fault: { what: 'startFails', times: random.pick([1, 2, 5, 5]) } as const });
const late = (random: Randomness) => ({ action: { do: 'run', key: `T${random.whole(90, 99)}`, task: prompt } as const });
const runs = (key: string, script: number, priority: number) => does({ do: 'run', key, task: { script, priority } });
const aborts = (key: string) => does({ do: 'abort', key });
const isLeased: readonly Around[] = [
  [1, -2500, -2400, does({ do: 'lease', key: lease, how: 'create' })],
  [0.9, -2200, 500, does({ do: 'prompt', lease, key: `${lease}.0`, task: prompt })],
  [0.7, -1500, 1000, does({ do: 'prompt', lease, key: `${lease}.1`, task: { script: 1, timeoutMs: 4000 } })],
  [0.6, -1500, 3000, does({ do: 'revert', lease })],
  [0.6, 0, 6000, does({ do: 'release', lease })],
];

const long: readonly Oddity[] = ['toolHangs', 'slowAbort', 'deafAbort', 'late', 'refused', 'childOutlives'];

const focuses = {
  none: { weight: 35, events: [] },
  drain: {
    weight: 9,
    turns: long,
    events: [
      ...isLeased,
      [1, 0, 0, does({ do: 'drain' })],
      [0.6, -1500, 2000, fails({ what: 'kill' })],
      [0.6, -1500, 0, failedStarts],
      [0.6, -1500, 4000, abort],
      [0.5, -200, 4000, late],
      [0.4, 100, 6000, does({ do: 'stop' })],
    ],
  },
  stop: {
    weight: 8,
    turns: ['deafAbort', 'slowAbort', 'late', 'asks'],
    events: [
      ...isLeased,
      [1, 0, 0, does({ do: 'stop' })],
      [0.5, -3000, 1000, fails({ what: 'kill' })],
      [0.3, -3000, 0, failedStarts],
      [0.3, -2500, 500, does({ do: 'rotate' })],
      [0.6, -3000, 1000, abort],
      [0.4, -3000, 1000, cut],
    ],
  },
  aborts: {
    weight: 10,
    turns: ['deafAbort', 'slowAbort', 'late', 'veryLate', 'child', 'nested', 'refused', 'asks', 'toolHangs'],
    events: [
      [1, 0, 0, abort],
      [0.9, 0, 2000, abort],
      [0.5, 0, 25_000, abort],
      [0.5, -500, 3000, cut],
      [0.4, -500, 3000, meddle],
      [0.3, -2000, 0, fails({ what: 'lag', lagMs: 3000, forMs: 8000 })],
      [0.3, 100, 15_000, does({ do: 'stop' })],
    ],
  },
  rotation: {
    weight: 10,
    turns: long,
    events: [
      [0.7, 0, 0, does({ do: 'rotate' })],
      [0.5, 0, 1000, fails({ what: 'grows' })],
      [0.6, 0, 4500, fails({ what: 'kill' })],
      [0.5, 1500, 9000, fails({ what: 'kill', which: 'first' })],
      [0.3, -500, 2000, failedStarts],
      [0.5, 0, 9000, does({ do: 'rotate' })],
      [0.15, 0, 6000, does({ do: 'stop' })],
      [0.3, 0, 6000, fails({ what: 'streamFails' })],
      [0.15, 0, 3000, fails({ what: 'wedge' })],
    ],
  },
  starts: {
    weight: 8,
    turns: long,
    events: [
      ...isLeased,
      [1, 0, 0, fails({ what: 'kill' })],
      [0.8, 0, 100, failedStarts],
      [0.6, 2000, 9000, fails({ what: 'kill' })],
      [0.5, -300, 6000, abort],
      [0.5, 0, 6000, late],
      [0.3, 0, 6000, does({ do: 'drain' })],
    ],
  },
  streams: {
    weight: 8,
    turns: ['late', 'idleNever', 'childOutlives', 'asks', 'refused', 'unknownModel'],
    events: [
      [1, 0, 0, cut],
      [0.6, 300, 6000, cut],
      [0.5, 0, 3000, fails({ what: 'streamFails' })],
      [0.3, 3000, 9000, fails({ what: 'streamFails' })],
      [0.3, 0, 3000, fails({ what: 'slow', delayMs: 6000, forMs: 8000 })],
      [0.5, -300, 3000, abort],
    ],
  },
  failures: {
    weight: 3,
    turns: long,
    events: [
      [1, 0, 0, fails({ what: 'streamFails' })],
      [0.9, 1000, 8000, fails({ what: 'streamFails' })],
      [0.9, 9000, 18_000, fails({ what: 'streamFails' })],
      [0.9, 19_000, 30_000, fails({ what: 'streamFails' })],
      [0.4, 31_000, 50_000, fails({ what: 'streamFails' })],
    ],
  },
  away: {
    weight: 4,
    turns: ['toolHangs', 'late', 'refused'],
    events: [
      [1, 0, 0, fails({ what: 'kill' })],
      [0.3, 0, 0, failedStarts],
      [1, 100, 600, runs('T70', 0, -1)],
      [0.5, 100, 1300, runs('T71', 2, -1)],
      [1, 700, 1300, runs('T72', 1, 1)],
    ],
  },
  refusals: {
    weight: 3,
    turns: ['refusedLong', 'refusedLong', 'refusedOut'],
    moments: ['accepted', 'begun', 'step'],
    timed: 0.1,
    events: [
      [1, 0, 20, (random) => ({ fault: { what: 'cut', silent: false, forMs: random.pick([100, 300, 2000, 9000]) } })],
      [0.3, 0, 3000, abort],
    ],
  },
  overdue: {
    weight: 3,
    turns: ['deafHang', 'deafHang', 'toolHangs'],
    moments: ['accepted', 'tool'],
    timed: 0.1,
    events: [
      [0.6, 285_000, 298_000, fails({ what: 'slow', delayMs: 20_000, forMs: 250_000 })],
      [0.5, 272_000, 299_000, aborts('T0')],
      [0.5, 272_000, 299_000, aborts('T1')],
      [0.3, 272_000, 299_000, aborts('T2')],
    ],
  },
  orphans: {
    weight: 3,
    turns: ['childAsksLong'],
    moments: ['ask'],
    timed: 0.1,
    events: [[1, 0, 3000, fails({ what: 'abortsOutside', which: 'last' })]],
  },
  dark: {
    weight: 3,
    turns: ['asks', 'childAsks'],
    events: [
      [1, -300, -50, fails({ what: 'cut', silent: false, forMs: 600_000 })],
      [0.8, 0, 500, does({ do: 'run', key: 'T80', task: { script: 0, kind: 'command' } })],
      [0.5, 0, 500, does({ do: 'run', key: 'T81', task: { script: 1, kind: 'command' } })],
      [0.5, 0, 500, does({ do: 'run', key: 'T82', task: { script: 1, kind: 'shell' } })],
    ],
  },
  spent: {
    weight: 4,
    turns: long,
    events: [
      [1, -14_000, -13_000, fails({ what: 'kill' })],
      [1, -9500, -8500, fails({ what: 'kill' })],
      [1, -5000, -4000, fails({ what: 'kill' })],
      [0.7, 0, 0, does({ do: 'rotate' })],
      [0.5, 0, 1000, does({ do: 'drain' })],
      [0.9, 200, 1500, fails({ what: 'kill' })],
      [0.5, -3000, 1500, late],
    ],
  },
  slowness: {
    weight: 4,
    turns: ['hangs', 'toolHangs'],
    events: [
      [1, -500, 500, (random) => ({ fault: { what: 'cut', silent: random.chance(0.5), forMs: 80_000 } })],
      [0.8, 6000, 9000, fails({ what: 'slow', delayMs: 6000, forMs: 6000 })],
      [0.8, 30_000, 33_000, fails({ what: 'slow', delayMs: 6000, forMs: 6000 })],
      [0.8, 50_000, 53_000, fails({ what: 'slow', delayMs: 6000, forMs: 6000 })],
    ],
  },
  agents: {
    weight: 7,
    turns: ['child', 'nested', 'childAsks', 'childAsks', 'childOutlives'],
    moments: ['child', 'ask', 'tool'],
    events: [
      [0.6, 0, 500, meddle],
      [0.4, 0, 500, abort],
      [0.4, 0, 2000, cut],
      [0.3, 0, 500, fails({ what: 'kill' })],
    ],
  },
  quarantine: {
    weight: 7,
    turns: ['deafAbort', 'toolHangs', 'childOutlives', 'late'],
    events: [
      [1, 0, 0, abort],
      [0.7, 0, 300, abort],
      [0.3, 20_000, 45_000, does({ do: 'rotate' })],
      [0.3, 28_000, 45_000, fails({ what: 'kill' })],
      [0.3, 28_000, 45_000, late],
    ],
  },
  disk: {
    weight: 8,
    events: [
      [1, -200, 0, (random) => ({ fault: { what: 'diskFull', forMs: random.pick([300, 2000, 15_000]) } })],
      [0.5, 0, 3000, abort],
      [0.5, 0, 3000, late],
      [0.2, 0, 5000, fails({ what: 'kill' })],
      [0.3, 0, 5000, does({ do: 'drain' })],
    ],
  },
} as const satisfies Record<string, Focus>;

type FocusName = keyof typeof focuses;

const weights = Object.fromEntries(Object.entries(focuses).map(([name, { weight }]) => [name, weight])) as Record<FocusName, number>;

const moments: readonly Point[] = points.filter((point) => point !== 'launched' && point !== 'created');

interface Focused {
  readonly turns: readonly Oddity[];
  readonly actions: readonly Action[];
  readonly faults: readonly Fault[];
}

/** What the focus of a world adds to it. */
export function drawFocus(random: Randomness): Focused {
  const { events, turns = [], moments: own = moments, timed = 0.6 }: Focus = focuses[random.weighted(weights)];
  // Around a time, or after something has happened: what would lie before that comes with it.
  const moment = random.pick(own);
  const nth = random.whole(1, 3);
  const atMs = Math.round(5500 + random.between(0, 6000) + Math.max(0, ...events.map(([, fromMs]) => -fromMs - 3000)));
  const isTimed = random.chance(timed);
  const actions: Action[] = [];
  const faults: Fault[] = [];
  for (const [chance, fromMs, toMs, what] of events) {
    const isDrawn = random.chance(chance);
    const afterMs = Math.round(random.between(fromMs, toMs));
    const happening = what(random);
    if (!isDrawn) continue;
    const isEarly = toMs < 0 || isTimed;
    const when: When = isEarly ? { atMs: Math.max(0, atMs + afterMs) } : { point: moment, nth, afterMs: Math.max(0, afterMs) };
    if ('action' in happening) actions.push({ ...happening.action, when });
    else faults.push({ ...happening.fault, when });
  }
  return { turns, actions, faults };
}
