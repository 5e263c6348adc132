import type { Outcome } from '../task/types.ts';

/**
 * What the provider allows of the pool: how many turns at once, and from when on a new one may begin. It holds back new
 * turns only; turns in flight wait for the provider by themselves.
 */
export interface ProviderGate {
  /** Turns at once: halved when the provider says that there are too many, raised by one after as many good turns. */
  readonly limit: number;
  /** No new turn before this time, in milliseconds since the epoch; null when nothing is held back. */
  readonly heldUntilMs: number | null;
  /** Good turns since the limit last changed. */
  readonly goodTurns: number;
  /** How often turns were held back so far. */
  readonly holds: number;
}

/** A provider that refused, or asked for a pause. */
export interface ProviderPause {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** When it may be asked again; not later than `atMs` when it did not say. */
  readonly untilMs: number;
  /** It said that there were too many requests; else it failed for another reason. */
  readonly isRateLimit: boolean;
}

export function openGate(maxSessions: number): ProviderGate {
  return { limit: maxSessions, heldUntilMs: null, goodTurns: 0, holds: 0 };
}

/** Many turns that are refused together are one refusal: within a pause the limit is not halved again. */
export function pauseProvider(gate: ProviderGate, { atMs, untilMs, isRateLimit }: ProviderPause): ProviderGate {
  const known = gate.heldUntilMs !== null && atMs < gate.heldUntilMs;
  const halved = isRateLimit && !known ? { limit: Math.max(1, Math.floor(gate.limit / 2)), goodTurns: 0 } : {};
  if (untilMs <= atMs) return { ...gate, ...halved };
  return {
    ...gate,
    ...halved,
    heldUntilMs: Math.max(gate.heldUntilMs ?? 0, untilMs),
    holds: gate.holds + (known ? 0 : 1),
  };
}

export function resumeProvider(gate: ProviderGate): ProviderGate {
  return { ...gate, heldUntilMs: null };
}

/** Additive growth: one more turn at once after as many good ones as there are at once. */
export function countTurn(gate: ProviderGate, outcome: Outcome, maxSessions: number): ProviderGate {
  if (outcome !== 'succeeded' || gate.limit >= maxSessions || gate.heldUntilMs !== null) return gate;
  const goodTurns = gate.goodTurns + 1;
  return goodTurns < gate.limit ? { ...gate, goodTurns } : { ...gate, limit: gate.limit + 1, goodTurns: 0 };
}

/** How many turns may be in flight now. */
export function allowedTurns(gate: ProviderGate, maxSessions: number): number {
  return gate.heldUntilMs === null ? Math.min(gate.limit, maxSessions) : 0;
}
