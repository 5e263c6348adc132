import { newTurn, realisticTurn, turnEvents, type WireEvent } from './turn-script.ts';
import type { Ids } from './ids.ts';

/** A small seeded generator (xorshift32): every run sees the same order of sessions. */
function seeded(seed: number): (limit: number) => number {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/**
 * Endless events of many sessions that work at once, each with turns of a realistic length (85 % deltas), in a seeded
 * order. `text` gives the text of each delta.
 */
export function* mixOfSessions(sessions: number, ids: Ids, seed: number, text?: () => string): Generator<WireEvent, never> {
  const below = seeded(seed);
  const lanes = Array.from({ length: sessions }, (_, index) => turnsOf(`ses_${String(index).padStart(26, '0')}`, ids, text));
  for (;;) yield lanes[below(sessions)]!.next().value;
}

function* turnsOf(sessionId: string, ids: Ids, text: (() => string) | undefined): Generator<WireEvent, never> {
  for (;;) {
    const place = { sessionId, directory: '/synthetic', messageId: ids.next('msg') };
    yield* turnEvents(newTurn(ids, place, realisticTurn), text);
  }
}
