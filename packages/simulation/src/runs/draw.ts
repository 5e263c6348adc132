import type { ProtocolName } from '@opencode-manager/core/protocol';
import { answer, calmLink } from '../plan/defaults.ts';
import { drawFaults } from '../plan/draw-faults.ts';
import { drawLink, drawProtocol, type DrawOptions } from '../plan/draw.ts';
import { drawTurn } from '../plan/draw-turn.ts';
import { points, type Fault, type StepScript, type TurnScript, type When } from '../plan/types.ts';
import { Randomness } from '../world/randomness.ts';
import { mostCorrections, unfitAnswer, type ManagerKill, type RunPlan, type RunTaskPlan } from './plan.ts';

/** `calm`: nothing but kills. `rough`: deaths of the server too, a full disk, gaps in its events. `storm`: all that the pool's worlds have. */
export const runProfiles = ['calm', 'rough', 'storm'] as const;
export type RunProfile = (typeof runProfiles)[number];

/** Turns of which tasks are made, by their place in the scripts. */
const scriptOf = { good: 0, tool: 1, slow: 2, fails: 3, hangs: 4, unfit: 5, quota: 6 } as const;

const fixedScripts = (random: Randomness, protocol: ProtocolName): TurnScript[] => [
  { beginMs: random.whole(5, 60), steps: [answer('good', { thinkMs: random.whole(20, 400) })] },
  {
    beginMs: random.whole(5, 60),
    steps: [
      answer('', { text: [], finish: 'tool-calls', tools: [{ tool: 'bash', input: 'in', output: 'out', forMs: random.whole(5, 200) }] }),
      answer('with a tool', { thinkMs: random.whole(20, 300) }),
    ],
  },
  { beginMs: random.whole(20, 1500), steps: [answer('slow', { thinkMs: random.whole(500, 4000) })] },
  {
    beginMs: 20,
    steps: [answer('', { text: [], error: { name: 'ProviderError', message: 'invalid request', statusCode: 400 } })],
  },
  { beginMs: 20, steps: [answer('hm', { hangs: true })] },
  { beginMs: random.whole(5, 60), steps: [answer(unfitAnswer, { thinkMs: random.whole(20, 200) })] },
  {
    beginMs: 20,
    steps: [answer('after a park', protocol === 'v1' ? waitsForQuota(random.whole(60_000, 240_000)) : hasNoQuota)],
  },
];

/** 1.x names the time at which a quota is free again, and waits for it; 2.x ends the turn at once, and names none. */
const waitsForQuota = (afterMs: number): Partial<StepScript> => ({
  refusal: { statusCode: 429, message: 'quota exceeded', times: 1, afterMs },
});
const hasNoQuota: Partial<StepScript> = { text: [], error: { name: 'provider.quota', message: 'quota exceeded', statusCode: 429 } };

/** What is not left to chance. */
export interface RunDrawOptions extends Pick<DrawOptions, 'protocol'> {
  readonly profile?: RunProfile | undefined;
}

/** Draws the world of a run from a seed. */
export function drawRunPlan(seed: number, wanted: RunDrawOptions = {}): RunPlan {
  const random = new Randomness(seed).of('run');
  const protocol = drawProtocol(random, wanted.protocol);
  const profile = wanted.profile ?? random.of('profile').weighted({ calm: 3, rough: 4, storm: 3 });
  const fixed = fixedScripts(random.of('fixed'), protocol);
  const chance = random.of('scripts');
  const odd = profile === 'storm' ? Array.from({ length: 6 }, (_, index) => drawTurn(chance.of(`${index}`), { protocol, odd: 0.7 })) : [];
  const count = random.of('size').chance(0.7) ? random.of('few').whole(3, 8) : random.of('many').whole(9, 16);
  return {
    version: 1,
    seed,
    profile,
    protocol,
    concurrency: random.of('concurrency').whole(1, 4),
    pool: { maxSessions: 1, permissions: 'allow' },
    link: profile === 'calm' ? calmLink : drawLink(random.of('link'), profile === 'storm' ? 1 : 0.2),
    scripts: [...fixed, ...odd],
    tasks: drawRunTasks(random.of('tasks'), count, { kinds: allKinds, odd: odd.length }),
    faults:
      profile === 'calm' ? [] : drawWeather(random.of('faults'), profile).filter(({ what }) => what !== 'dispose' || protocol === 'v1'),
    disk: {
      syncMs: random.of('disk').pick([
        [0.2, 3],
        [0.2, 3],
        [5, 80],
      ] as const),
      full: drawFull(random.of('full'), profile),
    },
    kills: drawKills(random.of('kills'), count),
    wishes: profile !== 'calm' && random.of('wishes').chance(0.2) ? [drawWish(random.of('wish'))] : [],
  };
}

/** A run of which every append can be tried: eight short tasks on a calm link. */
export function drawSmallRun(seed: number, { protocol }: Pick<RunDrawOptions, 'protocol'> = {}): RunPlan {
  const random = new Randomness(seed).of('small');
  const tasks = drawRunTasks(random, 8, { kinds: quickKinds, mostRetries: 1 });
  return { ...drawRunPlan(seed, { profile: 'calm', protocol }), concurrency: random.of('concurrency').whole(2, 4), tasks, kills: [] };
}

/** What tasks are, as often as their weight says; the odd ones where there are odd scripts. */
const allKinds = { good: 40, tool: 12, slow: 10, fails: 6, flaky: 12, hangs: 4, quota: 8 } as const;
const quickKinds = { ...allKinds, slow: 0, hangs: 1 } as const;

interface TaskChoice {
  readonly kinds: Readonly<Record<keyof typeof allKinds, number>>;
  /** How many odd scripts there are. */
  readonly odd?: number;
  readonly mostRetries?: number;
}

function drawRunTasks(random: Randomness, count: number, { kinds, odd = 0, mostRetries = 3 }: TaskChoice): RunTaskPlan[] {
  return Array.from({ length: count }, (_, index): RunTaskPlan => {
    const chance = random.of(`task ${index}`);
    const kind = chance.weighted({ ...kinds, odd: odd > 0 ? 60 : 0 });
    const retries = kind === 'good' || chance.chance(0.3) ? 0 : chance.whole(1, mostRetries);
    const answers = kind === 'good' && chance.of('schema').chance(0.25) ? answersOf(chance.of('answers')) : undefined;
    const timeoutMs = kind !== 'quota' && (kind === 'hangs' || chance.chance(0.05)) ? chance.whole(3000, 9000) : undefined;
    return {
      key: `t${index + 1}`,
      after: index > 0 && chance.chance(0.25) ? [`t${chance.whole(1, index)}`] : [],
      retries,
      scripts: answers ?? scriptsOf(kind, chance, odd),
      ...(answers && { hasSchema: true }),
      // One account has all the quota that is asked for.
      provider: kind === 'quota' || chance.of('provider').chance(0.5) ? 'alpha' : 'beta',
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
  });
}

/** Answers of a task with a schema: one that fits comes in time, whatever dies meanwhile, or none ever does. */
function answersOf(random: Randomness): number[] {
  const unfit = random.weighted({ 0: 1, 1: 3, 2: 4, 3: 2 } as const);
  if (Number(unfit) > mostCorrections) return [scriptOf.unfit];
  return [...Array.from({ length: Number(unfit) }, () => scriptOf.unfit), scriptOf.good];
}

function scriptsOf(kind: keyof typeof scriptOf | 'flaky' | 'odd', random: Randomness, odd: number): number[] {
  if (kind === 'flaky') return [...Array.from({ length: random.whole(1, 3) }, () => scriptOf.fails), scriptOf.good];
  if (kind === 'odd') return [Object.keys(scriptOf).length + random.whole(0, odd - 1)];
  return [scriptOf[kind]];
}

function drawWeather(random: Randomness, profile: 'rough' | 'storm'): Fault[] {
  if (profile === 'storm') return drawFaults(random, [1, 4]);
  // A server that dies again and again: the budget of restarts, and tasks that are suspected of it.
  if (random.of('deadly').chance(0.15))
    return Array.from({ length: random.whole(4, 9) }, (_, index): Fault => {
      return { what: 'kill', when: { point: 'begun', nth: 1 + index, afterMs: random.whole(0, 40) } };
    });
  return [...drawDeathsWhileReading(random.of('reading')), ...drawOthers(random)];
}

/** Servers that die soon after their start: while a manager that has taken the run up reads what the last one had begun. */
function drawDeathsWhileReading(random: Randomness): Fault[] {
  if (!random.chance(0.3)) return [];
  return Array.from({ length: random.whole(1, 2) }, (): Fault => {
    return { what: 'kill', when: { point: 'launched', nth: random.whole(2, 3), afterMs: random.whole(100, 180) } };
  });
}

function drawOthers(random: Randomness): Fault[] {
  return Array.from({ length: random.whole(1, 3) }, (_, index): Fault => {
    const chance = random.of(`${index}`);
    const when = drawMoment(chance);
    const what = chance.weighted({ kill: 6, cut: 3, slow: 1, startFails: 1 });
    if (what === 'cut') return { what, when, silent: false, forMs: chance.pick([0, 300, 2000]) };
    if (what === 'slow') return { what, when, delayMs: chance.whole(500, 2500), forMs: chance.whole(1000, 8000) };
    return what === 'kill' ? { what, when } : { what, when, times: chance.pick([1, 2, 40]) };
  });
}

function drawMoment(random: Randomness): When {
  if (random.chance(0.3)) return { atMs: random.whole(0, 20_000) };
  return { point: random.pick(points), nth: random.whole(1, 8), afterMs: random.chance(0.4) ? 0 : random.whole(1, 800) };
}

function drawFull(random: Randomness, profile: RunProfile): RunPlan['disk']['full'] {
  if (profile === 'calm' || !random.chance(0.3)) return [];
  return [{ when: drawMoment(random), forMs: random.pick([500, 5000, 30_000, 90_000]) }];
}

function drawWish(random: Randomness): RunPlan['wishes'][number] {
  return { when: drawMoment(random), wish: random.pick(['abort', 'drain']) };
}

function drawKills(random: Randomness, tasks: number): ManagerKill[] {
  return Array.from({ length: random.whole(0, 4) }, (_, index): ManagerKill => {
    const chance = random.of(`${index}`);
    const how = chance.pick(['kill', 'power'] as const);
    if (chance.chance(0.4)) return { how, when: drawMoment(chance) };
    const append = chance.whole(1, 4 * tasks);
    return { how, append, stage: chance.pick(['asked', 'torn', 'written', 'synced', 'acknowledged'] as const) };
  });
}
