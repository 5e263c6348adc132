import type { ArrivedEvent, ServerEvent } from '@opencode-manager/core/protocol';
import { eventAge } from './event-age.ts';
import type { Ledger } from './ledger.ts';

/**
 * Joins what a session's history says with what the new connection brought meanwhile, into one order without repetition:
 *
 * - of each session, the history up to the first stored event that came live; from there the live events themselves,
 *   because between them stand those that no history has (deltas, status, asks);
 * - across sessions, the history in order of time;
 * - what the ledger knows is left out.
 *
 * `emit` gets the events in order; the result is the number of those that came from the history.
 */
export function mergeReplay(
  history: readonly ServerEvent[],
  live: readonly ArrivedEvent[],
  ledger: Ledger,
  emit: (event: ArrivedEvent) => void,
): number {
  const firstLive = firstStoredSequences(live);
  let replayed = 0;
  ledger.beginReplay();
  for (const event of inOrderOfTime(history, ledger.baselineId)) {
    const limit = firstLive.get(event.sessionId!);
    if (limit !== undefined && event.durableSequence! >= limit) continue;
    if (!ledger.admitReplayed(event)) continue;
    replayed++;
    emit(ledger.withDirectory(event));
  }
  for (const event of live) if (ledger.admit(event)) emit(event);
  return replayed;
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
