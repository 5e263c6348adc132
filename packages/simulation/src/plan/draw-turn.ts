import type { ProtocolName } from '@opencode-manager/core/protocol';
import type { Randomness } from '../world/randomness.ts';
import type { RefusalScript, StepScript, ToolScript, TurnScript } from './types.ts';

/** Ways in which a turn is odd, with their weights. */
const oddities = {
  late: 6,
  veryLate: 4,
  never: 4,
  unknownModel: 3,
  idleEarly: 4,
  idleLate: 5,
  idleNever: 5,
  length: 3,
  oddFinish: 4,
  loopWithoutCalls: 3,
  loopWithoutFinish: 4,
  toolLoop: 5,
  empty: 4,
  emptyAfterTool: 3,
  refused: 6,
  refusedLong: 3,
  refusedOut: 3,
  error: 4,
  hangs: 4,
  toolHangs: 3,
  asks: 8,
  question: 4,
  child: 8,
  nested: 3,
  childAsks: 4,
  childAsksLong: 1,
  childOutlives: 4,
  compaction: 4,
  slowAbort: 5,
  deafAbort: 6,
  deafHang: 1,
  shellOutlives: 0,
} as const;
export type Oddity = keyof typeof oddities;

/** What a server of 2.x does not do, and what it does besides. */
const ofV2: Readonly<Partial<Record<Oddity, number>>> = {
  never: 0,
  idleEarly: 0,
  idleLate: 0,
  idleNever: 0,
  loopWithoutCalls: 0,
  loopWithoutFinish: 0,
  refusedLong: 0,
  childOutlives: 6,
  shellOutlives: 8,
};

const weights: Readonly<Record<ProtocolName, Readonly<Record<Oddity, number>>>> = { v1: oddities, v2: { ...oddities, ...ofV2 } };

/** How turns are drawn. */
export interface TurnChances {
  readonly protocol: ProtocolName;
  /** How many are odd, in [0, 1]. */
  readonly odd: number;
  /** One of these ways is taken half of the time. */
  readonly favoured?: readonly Oddity[];
}

/** A turn of a model. */
export function drawTurn(random: Randomness, { protocol, odd, favoured: wanted = [] }: TurnChances): TurnScript {
  const favoured = wanted.filter((one) => weights[protocol][one] > 0);
  const plain = drawPlainTurn(random.of('plain'));
  const base = random.of('floods').chance(0.04) ? withLast(plain, flood(random.of('flood'))) : plain;
  const favour = random.of('favour');
  if (favoured.length > 0 && favour.chance(0.5)) return change[favour.pick(favoured)](base, random.of('change'));
  if (!random.of('odd').chance(odd)) return base;
  return change[random.of('which').weighted(weights[protocol])](base, random.of('change'));
}

function drawPlainTurn(random: Randomness): TurnScript {
  const steps = Array.from({ length: random.whole(0, 2) }, () => drawStep(random, [drawTool(random)], 'tool-calls'));
  return { beginMs: Math.round(random.between(5, 120)), steps: [...steps, drawStep(random, [], 'stop')] };
}

function drawStep(random: Randomness, tools: readonly ToolScript[], finish: string): StepScript {
  const text = Array.from({ length: tools.length > 0 ? random.whole(0, 1) : random.whole(1, 3) }, () => `w${random.whole(100, 999)} `);
  return { thinkMs: Math.round(random.between(5, random.chance(0.1) ? 8000 : 300)), text, finish, ...(tools.length > 0 && { tools }) };
}

function drawTool(random: Randomness): ToolScript {
  const number = random.whole(1, 9999);
  const forMs = Math.round(random.between(5, random.chance(0.1) ? 20_000 : 200));
  return { tool: random.pick(['bash', 'edit', 'read']), input: `in ${number}`, output: `out ${number}`, forMs };
}

type Change = (turn: TurnScript, random: Randomness) => TurnScript;

/** Puts a step with a tool before the others. */
const withTool = (turn: TurnScript, random: Randomness, tool: Partial<ToolScript>): TurnScript => ({
  ...turn,
  steps: [drawStep(random, [{ ...drawTool(random), ...tool }], 'tool-calls'), ...turn.steps],
});

const withFirst = (turn: TurnScript, first: Partial<StepScript>): TurnScript => ({
  ...turn,
  steps: turn.steps.map((step, index) => (index === 0 ? { ...step, ...first } : step)),
});

const withLast = (turn: TurnScript, last: Partial<StepScript>): TurnScript => ({
  ...turn,
  steps: turn.steps.map((step, index) => (index === turn.steps.length - 1 ? { ...step, ...last } : step)),
});

const refusal = (random: Randomness, more: Partial<RefusalScript>): Partial<StepScript> => {
  const isRateLimit = random.chance(0.5);
  return {
    refusal: {
      statusCode: isRateLimit ? 429 : 500,
      message: isRateLimit ? 'Rate limit reached' : 'Internal server error',
      times: random.whole(1, 3),
      afterMs: random.pick([200, 2400, 15_000]),
      ...(random.chance(0.4) && { brokenText: 'half a sen' }),
      ...more,
    },
  };
};

/** More than a turn may say, or somewhat less; then the model stops, or says nothing more. */
const flood = (random: Randomness): Partial<StepScript> => ({ flood: random.whole(20, 80), ...(random.chance(0.4) && { hangs: true }) });

const ask = (random: Randomness) =>
  ({ kind: 'permission', permission: random.pick(['bash', 'edit']), pattern: `echo ${random.whole(1, 99)}` }) as const;

const withoutCalls = (finish: string | null): StepScript => ({ thinkMs: 30, text: [], finish });

const change: Readonly<Record<Oddity, Change>> = {
  late: (turn, random) => ({ ...turn, beginMs: Math.round(random.between(2100, 9000)) }),
  veryLate: (turn, random) => ({ ...turn, beginMs: Math.round(random.between(30_100, 60_000)) }),
  never: (turn) => ({ ...turn, neverBegins: true }),
  unknownModel: (turn) => ({ ...turn, unknownModel: true }),
  idleEarly: (turn) => ({ ...turn, idle: 'early' }),
  idleLate: (turn) => ({ ...turn, idle: 'late' }),
  idleNever: (turn) => ({ ...turn, idle: 'never' }),
  length: (turn) => withLast(turn, { finish: 'length' }),
  oddFinish: (turn, random) => withLast(turn, { finish: random.pick(['content-filter', 'error', 'unknown']) }),
  loopWithoutCalls: (turn) => ({ ...turn, steps: [withoutCalls('tool-calls')], loopsTo: 0 }),
  loopWithoutFinish: (turn) => ({ ...turn, steps: [withoutCalls(null)], loopsTo: 0 }),
  toolLoop: (turn, random) => ({
    ...turn,
    steps: Array.from({ length: random.whole(1, 4) }, () => drawStep(random, [{ ...drawTool(random), forMs: 20 }], 'tool-calls')),
    loopsTo: 0,
  }),
  empty: (turn) => ({ ...turn, steps: [{ thinkMs: 40, text: [], finish: 'stop' }] }),
  emptyAfterTool: (turn, random) => withTool({ ...turn, steps: [{ thinkMs: 40, text: [], finish: 'stop' }] }, random, {}),
  refused: (turn, random) => withFirst(turn, refusal(random, {})),
  refusedLong: (turn, random) => withFirst(turn, refusal(random, { times: 1, afterMs: 300_000 })),
  refusedOut: (turn, random) => withFirst(turn, refusal(random, { times: 6, afterMs: 400 })),
  error: (turn) => withLast(turn, { error: { name: 'ProviderError', message: 'invalid api key', statusCode: 401 } }),
  hangs: (turn) => withLast(turn, { hangs: true }),
  toolHangs: (turn, random) => withTool(turn, random, { hangs: true }),
  asks: (turn, random) => withTool(turn, random, { ask: ask(random) }),
  question: (turn, random) =>
    withTool(turn, random, { tool: 'question', ask: { kind: 'question', permission: 'question', pattern: 'Which one?' } }),
  child: (turn, random) => withTool(turn, random, { tool: 'task', child: drawPlainTurn(random) }),
  nested: (turn, random) =>
    withTool(turn, random, {
      tool: 'task',
      child: withTool(drawPlainTurn(random), random, { tool: 'task', child: drawPlainTurn(random) }),
    }),
  childAsks: (turn, random) =>
    withTool(turn, random, { tool: 'task', child: withTool(drawPlainTurn(random), random, { ask: ask(random) }) }),
  childAsksLong: (turn, random) => withLast(change.childAsks(turn, random), { thinkMs: random.whole(62_000, 90_000) }),
  childOutlives: (turn, random) =>
    withTool(turn, random, {
      tool: 'task',
      background: true,
      child: withTool(drawPlainTurn(random), random, { forMs: random.whole(300, 9000) }),
    }),
  compaction: (turn) => ({
    ...turn,
    steps: turn.steps.map((step, index) => (index === turn.steps.length - 1 ? { ...step, compacts: true } : step)),
  }),
  slowAbort: (turn, random) => withTool(turn, random, { ignoresAbort: 'slow', forMs: random.whole(2000, 15_000) }),
  deafAbort: (turn, random) => withTool(turn, random, { ignoresAbort: random.pick(['tools', 'never']), forMs: random.whole(2000, 90_000) }),
  deafHang: (turn, random) => withTool(turn, random, { ignoresAbort: 'never', hangs: true }),
  shellOutlives: (turn, random) => withTool(turn, random, { tool: 'bash', background: true, forMs: random.whole(300, 9000) }),
};
