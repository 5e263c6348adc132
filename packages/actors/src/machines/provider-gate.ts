import type { Outcome } from '../task/types.ts';
import { noProvider } from './task-lanes.ts';

/**
 * What one provider allows of the pool: how many turns at once, and from when on a new one may begin. It holds back new
 * turns only; turns in flight wait for the provider by themselves.
 */
export interface ProviderGate {
  /** Id of the provider; null for tasks of which it is not known. */
  readonly id: string | null;
  /** Turns in flight. */
  readonly active: number;
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

export function openGate(maxSessions: number, id: string | null = null): ProviderGate {
  return { id, active: 0, limit: maxSessions, heldUntilMs: null, goodTurns: 0, holds: 0 };
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

/** The gates of all providers that the pool has heard of. */
export type ProviderGates = readonly ProviderGate[];

/** A provider that is not known is taken for the only one that the pool works with, when there is one alone. */
export function idIn(gates: ProviderGates, provider: string | null): string | null {
  if (provider !== null) return provider;
  const [only, ...others] = gates.filter(({ id }) => id !== null);
  return only && others.length === 0 ? only.id : null;
}

/** Changes the gate of one provider, which is made with its first use; what asks no provider passes none. */
export function changeGate(
  gates: ProviderGates,
  id: string | null,
  maxSessions: number,
  change: (gate: ProviderGate) => ProviderGate,
): ProviderGates {
  if (id === noProvider) return gates;
  const at = gates.findIndex((gate) => gate.id === id);
  return at === -1 ? [...gates, change(openGate(maxSessions, id))] : gates.with(at, change(gates[at]!));
}

/** Whether one more turn of a provider may begin. */
export function mayBegin(gates: ProviderGates, provider: string | null, maxSessions: number): boolean {
  const id = idIn(gates, provider);
  const gate = gates.find((one) => one.id === id);
  if (!gate) return true;
  const inFlight = gates.reduce((sum, one) => (idIn(gates, one.id) === id ? sum + one.active : sum), 0);
  return inFlight < allowedTurns(gate, maxSessions);
}

/** What a provider allows with another number of slots: one that has refused nothing allows all of them, others keep what they have learnt. */
export function resizeGates(gates: ProviderGates, from: number, to: number): ProviderGates {
  return gates.map((gate) => ({ ...gate, limit: gate.limit >= from ? to : Math.min(gate.limit, to) }));
}

/** Lets those go on whose pause is over. */
export function resumeDue(gates: ProviderGates, atMs: number): ProviderGates {
  return gates.map((gate) => (gate.heldUntilMs !== null && gate.heldUntilMs <= atMs ? resumeProvider(gate) : gate));
}

/** The gate that allows least; an open one when no provider is known. */
export function tightest(gates: ProviderGates, maxSessions: number): ProviderGate {
  return gates.toSorted((a, b) => (b.heldUntilMs ?? 0) - (a.heldUntilMs ?? 0) || a.limit - b.limit)[0] ?? openGate(maxSessions);
}
