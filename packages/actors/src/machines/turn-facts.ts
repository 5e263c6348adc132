import { answersTurn, type Signal, type TurnEvidence } from '@opencode-manager/core/protocol';
import type { SessionContext, Turn, TurnFact, TurnPhase } from './session.types.ts';
import { busyChildrenOf, mayGoOn, recordRetry, running } from './turn.ts';
import { mergeReading } from './turn-reading.ts';

type FactOf<Type extends TurnFact['type']> = Extract<TurnFact, { type: Type }>;
type Recorders = { readonly [Type in TurnFact['type']]: (turn: Turn, fact: FactOf<Type>, context: SessionContext) => Turn };

const recorders: Recorders = {
  'turn.accepted': (turn, { source }) => ({ ...turn, accepted: true, acceptedByEvents: turn.acceptedByEvents || source === 'events' }),
  'session.busy': (turn, { atMs }) => ({ ...turn, ...running, busyAtMs: turn.busyAtMs ?? atMs, statusAtMs: atMs, retry: null }),
  'session.idle': recordIdle,
  // What comes before the stream told of our message is an earlier turn's; so it is with errors.
  'session.retrying': (turn, { retry, atMs }) =>
    turn.acceptedByEvents ? { ...recordRetry(turn, retry), busyAtMs: turn.busyAtMs ?? atMs, statusAtMs: atMs } : turn,
  'session.errored': recordError,
  'message.started': recordStarted,
  'message.finalised': recordFinal,
  'ask.opened': recordAsk,
  'ask.closed': (turn, { id, rejectedQuestion }) => ({
    ...turn,
    openAsks: turn.openAsks.filter((ask) => ask.id !== id),
    closedAsks: turn.closedAsks.includes(id) ? turn.closedAsks : [...turn.closedAsks, id],
    questionRejected: turn.questionRejected || rejectedQuestion === true,
  }),
  'child.busy': (turn, { sessionId, atMs }) => ({ ...turn, children: { ...turn.children, [sessionId]: { busy: true, atMs } } }),
  // What it said in a gap is known once it is read after that.
  'child.quiet': (turn, { sessionId, atMs }) => ({
    ...turn,
    children: { ...turn.children, [sessionId]: { busy: false, atMs } },
    ...(turn.followedSinceMs === null && turn.children[sessionId]?.busy !== false && { childrenRead: null }),
  }),
  'child.deleted': (turn) => turn,
  'snapshot.read': (turn, { reading, atMs }, context) => mergeReading(turn, reading, atMs, context),
};

/**
 * Adds one fact. Facts may be repeated, late or early: recording one twice changes nothing, and one that belongs to an
 * earlier turn is told by the message that it answers.
 */
export function recordFact(turn: Turn, fact: TurnFact, context: SessionContext): Turn {
  const record = recorders[fact.type] as (turn: Turn, fact: TurnFact, context: SessionContext) => Turn;
  const next = record(turn, fact, context);
  return next === turn ? turn : { ...next, lastAtMs: Math.max(turn.lastAtMs, fact.atMs) };
}

/**
 * An image that opencode cannot read fails before its message is stored. The first turn of a session has no earlier one whose error this may
 * be; in a later turn a read decides.
 */
function recordError(turn: Turn, { error, atMs }: FactOf<'session.errored'>, { turns }: SessionContext): Turn {
  if (turn.acceptedByEvents || turns === 1) return turn.sessionError ? turn : { ...turn, sessionError: { ...error, atMs } };
  if (turn.earlyError || turn.kind === 'shell' || error.kind === 'aborted') return turn;
  return { ...turn, earlyError: { ...error, atMs } };
}

/** An idle before anything of this turn is the last turn's second idle: opencode repeats it. */
function recordIdle(turn: Turn, { atMs }: FactOf<'session.idle'>): Turn {
  if (turn.busyAtMs === null && turn.newestMessageId === null && turn.sessionError === null) return turn;
  return { ...turn, idle: { atMs, source: 'events' }, statusAtMs: atMs, retry: null };
}

function recordStarted(turn: Turn, { id, parentId, atMs }: FactOf<'message.started'>): Turn {
  if (!answersTurn({ parentId }, turn.messageId) || (turn.newestMessageId !== null && id <= turn.newestMessageId)) return turn;
  // The event of our message may have been lost with a stream; what follows its answer is of this turn. A further message waits for nothing.
  const begun = {
    accepted: true,
    acceptedByEvents: true,
    newestMessageId: id,
    newestReadAtMs: null,
    final: null,
    statusAtMs: atMs,
    retry: null,
  };
  return { ...turn, ...running, ...begun };
}

function recordFinal(turn: Turn, { message, atMs }: FactOf<'message.finalised'>): Turn {
  if (!answersTurn(message, turn.messageId) || (turn.newestMessageId !== null && message.id < turn.newestMessageId)) return turn;
  if (turn.final?.id === message.id && turn.final.source === 'events') return { ...turn, final: { ...turn.final, ...message } };
  return {
    ...turn,
    accepted: true,
    newestMessageId: message.id,
    newestReadAtMs: null,
    final: { ...message, atMs, source: 'events' },
    idleSinceMs: null,
    inconclusiveReads: 0,
  };
}

/** Who asks is not idle. */
function recordAsk(turn: Turn, { ask, atMs }: FactOf<'ask.opened'>, { sessionId, pastAsks }: SessionContext): Turn {
  if (pastAsks.includes(ask.id) || turn.closedAsks.includes(ask.id) || turn.openAsks.some(({ id }) => id === ask.id)) return turn;
  const open = { ...turn, openAsks: [...turn.openAsks, { ...ask, atMs }] };
  return ask.sessionId === sessionId ? { ...open, ...running, statusAtMs: atMs } : open;
}

/** What is known, in the form that `proveTurnEnd` judges. A signal that was never looked at is not there. */
export function evidenceOf(turn: Turn): TurnEvidence {
  const { final, openAsks } = turn;
  const idle = idleAfterFinal(turn);
  const childrenQuiet = busyChildrenOf(turn).length === 0 ? followedOrRead(turn, turn.childrenRead) : undefined;
  const noPendingAsk = openAsks.length === 0 ? followedOrRead(turn, turn.asksRead) : undefined;
  return {
    messageId: turn.messageId,
    ...(final &&
      isHistoryWhole(turn) && {
        finalMessage: {
          id: final.id,
          atMs: final.atMs,
          source: final.source,
          failed: final.error !== undefined,
          ...(final.finish !== undefined && { finish: final.finish }),
        },
      }),
    ...(idle && { idle }),
    ...(childrenQuiet && { childrenQuiet }),
    ...(noPendingAsk && { noPendingAsk }),
  };
}

/**
 * What came in a gap is known: the final message was read, or the history once more after it. Events that come later need not be whole, either: what
 * opencode 2 told in the gap of work in the background is missing there.
 */
export function isHistoryWhole({ final, followedSinceMs, newestReadAtMs, missedEvents }: Turn): boolean {
  return (
    (followedSinceMs !== null && !missedEvents) ||
    final?.source === 'snapshot' ||
    (newestReadAtMs !== null && newestReadAtMs > (final?.atMs ?? 0))
  );
}

/**
 * The idle that counts: it was seen after the final message. One by an event counts where the message came by events too, because then
 * their order is the server's; and while no gap is open.
 */
function idleAfterFinal(turn: Turn): Signal | undefined {
  const { final, idle, followedSinceMs } = turn;
  if (!final || !idle || (idle.sinceMs ?? idle.atMs) <= final.atMs || (mayGoOn(turn) && !isReadAfterIdle(turn))) return undefined;
  return idle.source === 'snapshot' || (final.source === 'events' && followedSinceMs !== null) ? idle : undefined;
}

/** Steps may have come and gone between the history and the idle: the history was read once more, and shows no newer message. */
function isReadAfterIdle({ idleSinceMs, newestReadAtMs }: Turn): boolean {
  return idleSinceMs !== null && newestReadAtMs !== null && newestReadAtMs > idleSinceMs;
}

/**
 * Nothing was told by events that were followed without a gap, or nothing was read. Events that did not tell of the final message are
 * behind: what they say of the rest of the turn is not known yet either.
 */
function followedOrRead({ followedSinceMs, lastAtMs, final }: Turn, read: Signal | null): Signal | undefined {
  if (followedSinceMs !== null && final?.source === 'events') return { atMs: lastAtMs, source: 'events', sinceMs: followedSinceMs };
  return read && (read.sinceMs ?? read.atMs) > (final?.atMs ?? 0) ? { ...read, atMs: lastAtMs } : undefined;
}

/** The state in which an accepted turn belongs, by its facts alone. */
export function phaseOf(turn: Turn, sessionId: string): TurnPhase {
  if (turn.decision) return 'aborting';
  if (turn.followedSinceMs === null) return 'reconciling';
  if (turn.openAsks.some((ask) => turn.idle === null || ask.sessionId !== sessionId)) return 'awaitingInput';
  if (turn.retry) return 'backingOff';
  if (busyChildrenOf(turn).length > 0) return 'waitingOnChildren';
  return turn.idle ? 'settling' : 'running';
}
