import type { ArrivedEvent, ServerEvent } from '@opencode-manager/core/protocol';
import { eventAge } from './event-age.ts';

/**
 * The events of a history that did not also come live: of each session those before its first stored live event (from there
 * the live events are complete, with deltas, status and asks), across sessions in order of time.
 */
export function missedEvents(history: readonly ServerEvent[], live: readonly ArrivedEvent[], baselineId: string): ServerEvent[] {
  const firstLive = firstStoredSequences(live);
  const missed = history.filter((event) => event.durableSequence! < (firstLive.get(event.sessionId!) ?? Infinity));
  return inOrderOfTime(missed, baselineId);
}

function firstStoredSequences(live: readonly ArrivedEvent[]): Map<string, number> {
  const first = new Map<string, number>();
  for (const { sessionId, durableSequence } of live) {
    if (sessionId !== undefined && durableSequence !== undefined && !first.has(sessionId)) first.set(sessionId, durableSequence);
  }
  return first;
}

/**
 * Sorts by time without ever reordering one session: an event counts as no older than those before it in its session.
 */
function inOrderOfTime(history: readonly ServerEvent[], baselineId: string): ServerEvent[] {
  const bySequence = history.toSorted((left, right) => left.durableSequence! - right.durableSequence!);
  const newest = new Map<string, number>();
  const timed = bySequence.map((event) => {
    const age = Math.max(eventAge(event.id, baselineId) ?? 0, newest.get(event.sessionId!) ?? Number.NEGATIVE_INFINITY);
    newest.set(event.sessionId!, age);
    return { event, age };
  });
  return timed.toSorted((left, right) => left.age - right.age).map(({ event }) => event);
}
