import { seededRandom, type Random } from '../test/support/random.ts';

/** What a provider does once to one call of a task. */
export const providerFaults = ['rate-limited', 'server-error', 'cut', 'hang'] as const;
export type ProviderFault = (typeof providerFaults)[number];

export const taskKinds = ['text', 'slow', 'bash', 'write'] as const;
export type TaskKind = (typeof taskKinds)[number];

/** One task, what the model says to it, and what its provider does before. */
export interface PlannedTask {
  readonly id: string;
  readonly kind: TaskKind;
  readonly prompt: string;
  /** The whole text of the final answer. */
  readonly answer: string;
  /** Words a second of the final answer; absent: at once. */
  readonly tokensPerSecond?: number;
  /** Seconds that the tool works. */
  readonly toolSeconds: number;
  readonly provider?: { readonly fault: ProviderFault; readonly step: number };
}

/** A fault between the parts, at a time from the start of the run. */
export type PlannedFault = { readonly atMs: number } & (
  | { readonly kind: 'server-kill' | 'worker-crash' | 'model-cut' | 'lost-answer' }
  | { readonly kind: 'stream-drop'; readonly how: 'rst' | 'fin' | 'end' }
  | { readonly kind: 'stream-stall'; readonly forMs: number }
);
export type FaultKind = PlannedFault['kind'];

interface Track {
  /** Bounds of the time of the first fault, and of the wait for each next one, in milliseconds. */
  readonly firstMs: readonly [number, number];
  readonly gapMs: readonly [number, number];
}

/**
 * When each kind strikes. Kills stay within the pool's budget of 3 restarts in 60 s, crashes of the stream's thread within its
 * budget of 5 in 60 s: what happens beyond the budgets is tested elsewhere.
 */
const tracks: Readonly<Record<FaultKind, Track>> = {
  'server-kill': { firstMs: [4000, 8000], gapMs: [22_000, 32_000] },
  'worker-crash': { firstMs: [2500, 6000], gapMs: [13_000, 20_000] },
  'model-cut': { firstMs: [2000, 6000], gapMs: [7000, 14_000] },
  'lost-answer': { firstMs: [200, 1500], gapMs: [2500, 6000] },
  'stream-drop': { firstMs: [800, 3000], gapMs: [2000, 6000] },
  'stream-stall': { firstMs: [1500, 5000], gapMs: [5000, 11_000] },
};
export const faultKinds = Object.keys(tracks) as FaultKind[];

const vocabulary = 'amber birch cedar delta ember fjord glade heron inlet junco kelp larch maple north otter pine quartz reed'.split(' ');

/** The tasks of a seed, without end. The task of a number is the same however many are taken. */
export function* plannedTasks(seed: number): Generator<PlannedTask, never, undefined> {
  for (let number = 1; ; number += 1) yield plannedTask(seed, number);
}

export function plannedTask(seed: number, number: number): PlannedTask {
  const random = seededRandom(mix(seed, number));
  const kind = random.pick(taskKinds);
  const id = `t${number}`;
  const isSlow = kind === 'slow' || (kind === 'write' && random.chance(0.5));
  const words = Array.from({ length: isSlow ? 15 + random.below(45) : 3 + random.below(20) }, () => random.pick(vocabulary));
  return {
    id,
    kind,
    prompt: `soak ${id}`,
    answer: `${id} says ${words.join(' ')}.`,
    ...(isSlow && { tokensPerSecond: 15 + random.below(25) }),
    toolSeconds: kind === 'bash' && random.chance(0.5) ? random.below(15) / 10 : 0,
    ...(random.chance(0.15) && { provider: { fault: random.pick(providerFaults), step: callsTools(kind) ? random.below(2) : 0 } }),
  };
}

export function callsTools(kind: TaskKind): boolean {
  return kind === 'bash' || kind === 'write';
}

/** The faults of a seed in the order of their times, without end. */
export function* plannedFaults(seed: number): Generator<PlannedFault, never, undefined> {
  const random = seededRandom(mix(seed, 0));
  const due = new Map(faultKinds.map((kind) => [kind, between(random, tracks[kind].firstMs)]));
  for (;;) {
    const [kind, atMs] = [...due].reduce((earliest, entry) => (entry[1] < earliest[1] ? entry : earliest));
    due.set(kind, atMs + between(random, tracks[kind].gapMs));
    yield withDetails(kind, atMs, random);
  }
}

function withDetails(kind: FaultKind, atMs: number, random: Random): PlannedFault {
  if (kind === 'stream-drop') return { kind, atMs, how: random.pick(['rst', 'fin', 'end'] as const) };
  if (kind === 'stream-stall') return { kind, atMs, forMs: between(random, [500, 5000]) };
  return { kind, atMs };
}

function between(random: Random, [from, to]: readonly [number, number]): number {
  return from + random.below(to - from + 1);
}

/** Neighbouring numbers must not begin alike. */
function mix(seed: number, number: number): number {
  return Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number + 1, 0xc2b2ae35);
}
