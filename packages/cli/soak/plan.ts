import type { SoakOptions } from './options.ts';
import { seededRandom, type Random } from './random.ts';

const taskKinds = ['text', 'bash', 'write'] as const;

/** One task, and what the model says to it. */
export interface PlannedTask {
  readonly id: string;
  readonly kind: (typeof taskKinds)[number];
  /** Carries the marker by which the model's calls are told apart. */
  readonly prompt: string;
  /** Seconds that its tool works, before the answer. */
  readonly toolSeconds: number;
  /** The whole text of the final answer. */
  readonly answer: string;
  readonly tokensPerSecond: number;
  /** Too short for it. */
  readonly timeoutSeconds?: number;
}

/** How one manager of the run fares. */
export interface PlannedLife {
  /** Counts from its launch record, or from the start of its process. */
  readonly endsAfter: 'launch' | 'start';
  readonly endMs: number;
  /** SIGTERM twice: the second one aborts what runs. */
  readonly signals: readonly NodeJS.Signals[];
  /** Kills of the server, in milliseconds from the launch record. */
  readonly serverKillsMs: readonly number[];
  /** When the disk becomes full, in milliseconds from the launch record, for {@link fullDiskMs}. */
  readonly diskFullMs: number | null;
  /** What is done to the run after it, before the next manager. */
  readonly after: readonly ('lost-results' | 'lost-state' | 'edits')[];
}

/** A disk stays full for so long. */
export const fullDiskMs = 10_000;

const tokensPerSecond = 4;
const vocabulary = 'amber birch cedar delta ember fjord glade heron inlet junco kelp larch maple north otter pine quartz reed'.split(' ');

/** The tasks of a seed. The first is longer than a manager lives. */
export function plannedTasks({ seed, tasks, seconds, gap, weather }: SoakOptions): PlannedTask[] {
  const longest = Math.max(seconds[1], gap[1] + 2);
  return Array.from({ length: tasks }, (_, index) => {
    const random = seededRandom(seed * 10_007 + index);
    const kind = index === 0 ? 'text' : random.pick(taskKinds);
    // Short ones are more frequent, as in life.
    const length = index === 0 ? longest : seconds[0] + random.between(0, 1) * random.between(0, 1) * (seconds[1] - seconds[0]);
    const toolSeconds = kind === 'text' ? 0 : Math.round(length * random.between(0.2, 0.8));
    const words = Math.max(3, Math.round((length - toolSeconds) * tokensPerSecond));
    const id = `t${index + 1}`;
    const answer = `${id} says ${Array.from({ length: words }, () => random.pick(vocabulary)).join(' ')}.`;
    const isCutOff = index % 6 === 2 && words > 2 * tokensPerSecond && weather.includes('timeouts');
    const timeout = isCutOff ? { timeoutSeconds: Math.ceil(words / tokensPerSecond / 2) } : {};
    return { ...timeout, id, kind, prompt: `Soak [${id}], please.`, toolSeconds, answer, tokensPerSecond };
  });
}

/** The lives of the managers of a seed; after them one lives as long as the run. */
export function plannedLives({ seed, kills, gap, weather }: SoakOptions): PlannedLife[] {
  const random = seededRandom(seed * 10_007 - 1);
  return Array.from({ length: kills }, () => plannedLife(random, gap, new Set(weather)));
}

/** All is drawn each time, so that one weather more or less does not change the others. */
function plannedLife(random: Random, gap: readonly [number, number], weather: ReadonlySet<string>): PlannedLife {
  const isEarly = random.chance(weather.has('kill') ? 0.3 : 1) && weather.has('start-kill');
  const startMs = random.between(100, 6000);
  const launchMs = 1000 * random.between(...gap);
  const term = random.pick([['SIGTERM'], ['SIGTERM', 'SIGTERM']] as const);
  const isTerm = random.chance(0.5) && weather.has('term');
  const serverKills = [random.between(0, 1), random.between(0, 1)].slice(0, random.pick([1, 1, 2]));
  const full = random.between(0, 0.5);
  const after = (['lost-results', 'lost-state', 'edits'] as const).filter((name) => random.chance(0.6) && weather.has(name));
  const isKilled = weather.has('kill') || weather.has('start-kill');
  return {
    endsAfter: isEarly ? 'start' : 'launch',
    endMs: isEarly ? startMs : launchMs,
    signals: isTerm || !isKilled ? term : ['SIGKILL'],
    serverKillsMs: weather.has('server-kill') ? serverKills.map((share) => share * launchMs) : [],
    diskFullMs: weather.has('full-disk') ? full * launchMs : null,
    after,
  };
}
