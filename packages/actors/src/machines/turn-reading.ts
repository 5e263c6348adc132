import { mayGoOn, recordRetry } from './turn.ts';
import type { ChildState, FinalMessage, OpenAsk, SessionContext, Turn, TurnReading } from './session.types.ts';

/**
 * Adds what was read. A read is not one moment: a fact that an event told later than its part of the read began stands; what was
 * told before is replaced by what was read.
 */
export function mergeReading(turn: Turn, reading: TurnReading, atMs: number, context: SessionContext): Turn {
  if (reading.messageId !== turn.messageId) return turn;
  const known = mergeHistory({ ...turn, readPending: false }, reading);
  const surroundings = mergeAsks(mergeChildren(known, reading, atMs, context), reading, atMs, context);
  const merged = noteTakenBack(mergeStatus(surroundings, reading, atMs), reading);
  return { ...closeGap(merged, reading, context), lastAtMs: Math.max(merged.lastAtMs, atMs) };
}

function noteTakenBack(turn: Turn, { history, status, abortedAtMs }: TurnReading): Turn {
  if (abortedAtMs === undefined || history === null || history.found || status.value !== 'idle') return turn;
  return Math.min(history.sinceMs, status.sinceMs) > abortedAtMs ? { ...turn, takenBack: true } : turn;
}

/**
 * A gap is closed by a read all of which began after the stream was live again. When it shows our message, what comes by events is of this turn,
 * though the event of the message was lost.
 */
function closeGap(turn: Turn, { history, status, children, asks }: TurnReading, { liveSinceMs }: SessionContext): Turn {
  if (turn.followedSinceMs !== null || liveSinceMs === null || history === null || asks === null) return turn;
  const sinceMs = Math.min(history.sinceMs, status.sinceMs, children.sinceMs, asks.sinceMs);
  if (sinceMs <= liveSinceMs) return turn;
  return { ...turn, followedSinceMs: sinceMs, acceptedByEvents: turn.acceptedByEvents || (turn.missedEvents && history.found) };
}

type History = NonNullable<TurnReading['history']>;

function mergeHistory(turn: Turn, { history }: TurnReading): Turn {
  if (!history) return turn;
  const { newest } = history;
  const accepted = turn.accepted || history.found;
  return withNewest(ascribeError({ ...turn, accepted }, history), history, newest);
}

/** An error before our message is this turn's when the history that was read after it has neither our message nor an answer with that error. */
function ascribeError(turn: Turn, { sinceMs, found, pastErrors = [] }: History): Turn {
  const { earlyError } = turn;
  if (earlyError === null || earlyError.atMs >= sinceMs) return turn;
  const isPast = pastErrors.some(({ name, message }) => name === earlyError.name && message === earlyError.message);
  return { ...turn, earlyError: null, ...(!found && !isPast && { sessionError: turn.sessionError ?? earlyError }) };
}

function withNewest(turn: Turn, history: History, newest: History['newest']): Turn {
  if (!newest || (turn.newestMessageId !== null && newest.id < turn.newestMessageId)) return turn;
  const begun = { ...turn, newestMessageId: newest.id, newestReadAtMs: history.sinceMs };
  // It has begun since: an idle from before says nothing of its end.
  if (!newest.final) {
    // Events that came after a gap may have told an end that is none: a read that began after them knows.
    const isTold = newest.id === turn.newestMessageId && (turn.final === null || turn.final.atMs >= history.sinceMs);
    return isTold ? begun : { ...begun, final: null, idleSinceMs: null };
  }
  const known = turn.final?.id === newest.id ? turn.final : null;
  const final: FinalMessage = known ? { ...known, ...newest.final } : { ...newest.final, atMs: history.seenAtMs, source: 'snapshot' };
  return { ...begun, final, ...(known === null && { idleSinceMs: null }) };
}

function mergeChildren(turn: Turn, { children: read }: TurnReading, atMs: number, { limits }: SessionContext): Turn {
  const { sinceMs, busy, quiet, unbegun, wholeSinceMs } = read;
  const children: Record<string, ChildState> = { ...turn.children };
  const told = (id: string) => (turn.children[id]?.atMs ?? 0) >= sinceMs;
  for (const id of busy) if (!told(id)) children[id] = { busy: true, atMs: sinceMs };
  for (const id of quiet) if (!told(id)) children[id] = { busy: false, atMs: sinceMs };
  for (const id of unbegun) if (!told(id)) children[id] = unbegunChild(turn.children[id], sinceMs, limits.unbegunTimeoutMs);
  return { ...turn, children, ...(wholeSinceMs !== null && { childrenRead: { atMs, source: 'snapshot', sinceMs: wholeSinceMs } }) };
}

/** It counts as busy for as long as it may begin still; what was told quiet once has begun, and ended. */
function unbegunChild(known: ChildState | undefined, sinceMs: number, patienceMs: number): ChildState {
  if (known?.busy === false) return known;
  const fromMs = known?.atMs ?? sinceMs;
  return sinceMs - fromMs < patienceMs ? { busy: true, atMs: fromMs } : { busy: false, atMs: sinceMs };
}

/**
 * opencode keeps the asks of an aborted turn in its lists: one whose session was read idle after it was asked waits for nobody.
 */
function mergeAsks(turn: Turn, reading: TurnReading, atMs: number, { sessionId, pastAsks }: SessionContext): Turn {
  if (!reading.asks) return turn;
  const { sinceMs, listed } = reading.asks;
  const { wholeSinceMs } = reading.children;
  const ids = new Set(listed.map(({ id }) => id));
  const waits = (ask: OpenAsk) => ask.atMs >= reading.status.sinceMs || !isReadIdle(turn, ask.sessionId, sessionId, reading);
  const known = turn.openAsks.filter((ask) => ask.atMs >= sinceMs || ids.has(ask.id)).filter(waits);
  const gone = turn.openAsks.filter((ask) => !known.includes(ask));
  const isNew = ({ id }: OpenAsk) => !pastAsks.includes(id) && !turn.closedAsks.includes(id) && !turn.openAsks.some((ask) => ask.id === id);
  const found = listed.filter(isNew).filter((ask) => !isReadIdle(turn, ask.sessionId, sessionId, reading));
  return {
    ...turn,
    openAsks: found.length === 0 && gone.length === 0 ? turn.openAsks : [...known, ...found],
    closedAsks: gone.length === 0 ? turn.closedAsks : [...turn.closedAsks, ...gone.map(({ id }) => id)],
    // Those of a sub-agent that nobody knows are not among them.
    ...(wholeSinceMs !== null && { asksRead: { atMs, source: 'snapshot', sinceMs: wholeSinceMs } }),
  };
}

function isReadIdle(turn: Turn, asking: string, root: string, { status, children }: TurnReading): boolean {
  if (asking !== root) return children.quiet.includes(asking);
  return status.value === 'idle' && turn.statusAtMs < status.sinceMs;
}

function mergeStatus(turn: Turn, { status: { sinceMs, value } }: TurnReading, atMs: number): Turn {
  if (turn.statusAtMs >= sinceMs) return turn;
  if (value === 'idle') {
    const hasEnd = turn.final !== null && !mayGoOn(turn);
    return {
      ...turn,
      idle: { atMs, source: 'snapshot', sinceMs },
      idleSinceMs: hasEnd ? null : (turn.idleSinceMs ?? sinceMs),
      retry: null,
      stallSuspected: false,
      inconclusiveReads: turn.inconclusiveReads + 1,
    };
  }
  const busy: Turn = { ...turn, busyAtMs: turn.busyAtMs ?? sinceMs, idle: null, idleSinceMs: null };
  const read = value === 'busy' ? busy : recordRetry(busy, value);
  if (value !== 'busy' && value.nextAtMs > sinceMs) return { ...read, stallSuspected: false };
  // opencode 2 shows a wait some time after its begin, and its end likewise: what was told of one whose time has not come stands.
  const waits = turn.retry !== null && turn.retry.nextAtMs > sinceMs;
  return { ...read, retry: waits ? turn.retry : null, inconclusiveReads: turn.inconclusiveReads + 1 };
}
