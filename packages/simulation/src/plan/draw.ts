import type { ProtocolName } from '@opencode-manager/core/protocol';
import { Randomness } from '../world/randomness.ts';
import { drawActions } from './draw-actions.ts';
import { drawFaults } from './draw-faults.ts';
import { drawTurn } from './draw-turn.ts';
import { drawFocus } from './focus.ts';
import type { LinkPlan, Plan, PoolPlan } from './types.ts';

export const profiles = ['calm', 'rough', 'storm'] as const;
export type Profile = (typeof profiles)[number];

/** How much goes wrong: odd turns, faults of servers and streams, chances of the link. */
const roughness: Readonly<Record<Profile, { readonly odd: number; readonly faults: readonly [number, number]; readonly link: number }>> = {
  calm: { odd: 0.25, faults: [0, 0], link: 0 },
  rough: { odd: 0.45, faults: [0, 1], link: 0.35 },
  storm: { odd: 0.6, faults: [1, 4], link: 1 },
};

/** What is not left to chance. */
export interface DrawOptions {
  readonly profile?: Profile | undefined;
  readonly protocol?: ProtocolName | undefined;
}

export const protocols = ['v1', 'v2'] as const satisfies readonly ProtocolName[];

/** The protocol of a world: each in half of them. */
export function drawProtocol(random: Randomness, wanted: ProtocolName | undefined): ProtocolName {
  return wanted ?? random.of('protocol').pick(protocols);
}

/**
 * Draws a world from a seed; without a profile and a protocol these are chance, too. Four of five worlds have one to four tasks, the others up to thirty.
 *
 * @example
 * const plan = drawPlan(42, { profile: 'rough', protocol: 'v2' })
 */
export function drawPlan(seed: number, wanted: DrawOptions = {}): Plan {
  const random = new Randomness(seed);
  const protocol = drawProtocol(random, wanted.protocol);
  const profile = wanted.profile ?? random.of('profile').weighted({ calm: 3, rough: 5, storm: 2 });
  const { odd, faults, link } = roughness[profile];
  const count = random.of('size').chance(0.8) ? random.of('few').whole(1, 4) : random.of('many').whole(5, 30);
  const chance = random.of('scripts');
  const focus = drawFocus(random.of('focus'));
  const scripts = Array.from({ length: Math.min(count + 2, 12) }, (_, index) =>
    drawTurn(chance.of(`${index}`), { protocol, odd, favoured: focus.turns }),
  );
  return {
    version: 1,
    seed,
    profile,
    protocol,
    pool: drawPool(random.of('pool')),
    link: drawLink(random.of('link'), link),
    scripts,
    actions: [...drawActions(random.of('actions'), count, scripts), ...focus.actions],
    faults: [...drawFaults(random.of('faults'), faults), ...focus.faults].filter(({ what }) => what !== 'dispose' || protocol === 'v1'),
  };
}

function drawPool(random: Randomness): PoolPlan {
  const timeoutMs = random.whole(5, 60) * 1000;
  return {
    maxSessions: random.pick([1, 1, 2, 2, 3, 6]),
    permissions: random.pick(['allow', 'allow', 'deny', 'escalate', 400, 30_000] as const),
    ...(random.chance(0.3) && { sessions: 'reuse' as const }),
    ...(random.chance(0.15) && { taskTimeoutMs: timeoutMs }),
    ...(random.chance(0.2) && { onInterrupted: 'fail' as const }),
    ...(random.chance(0.3) && { maxBytes: 2e9 }),
    ...(random.chance(0.3) && { maxIdleDirectories: random.pick([0, 1]) }),
    ...(random.chance(0.3) && { snapshots: true }),
  };
}

export function drawLink(random: Randomness, roughly: number): LinkPlan {
  const rare = (most: number) => (random.chance(0.5 * roughly) ? random.between(0, most) : 0);
  return {
    delayMs: random.chance(0.3) ? [5, 120] : [2, 8],
    slow: rare(0.06),
    slowMs: 6000,
    lostRequest: rare(0.03),
    lostAnswer: rare(0.03),
    brokenAnswer: rare(0.03),
    refusal: rare(0.03),
    doubled: rare(0.1),
  };
}
