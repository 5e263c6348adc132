import type { Signal, TurnEvidence } from '@opencode-manager/core/protocol';
import { decideOnRetry, decideOnce, stalled } from './turn-verdict.ts';
import type { SessionContext, SessionLimits, SessionMachineEvent, SnapshotFacts, Turn, TurnFact, TurnPhase } from './session.types.ts';

type Submit = Extract<SessionMachineEvent, { type: 'turn.submit' }>;
type FactOf<Type extends TurnFact['type']> = Extract<TurnFact, { type: Type }>;
type Recorders = { readonly [Type in TurnFact['type']]: (turn: Turn, fact: FactOf<Type>, context: SessionContext) => Turn };

/** A fresh turn, of which nothing is known but that it will be sent. */
export function beginTurn({ taskId, messageId, kind, timeoutMs, atMs }: Submit): Turn {
  const quiet: Signal = { atMs, source: 'events' };
  return {
    taskId,
    messageId,
    kind,
    timeoutMs,
    startedAtMs: atMs,
    lastAtMs: atMs,
    accepted: false,
    submitError: null,
    busyAtMs: null,
    newestMessageId: null,
    final: null,
    idle: null,
    idleIsEarly: false,
    busyChildren: [],
    childrenQuiet: quiet,
    openAsks: [],
    closedAsks: [],
    asksQuiet: quiet,
    questionRejected: false,
    retry: null,
    lastRetry: null,
    retries: 0,
    sessionError: null,
    stale: false,
    readPending: false,
    unansweredReads: 0,
    stallSuspected: false,
    inconclusiveReads: 0,
    gaps: 0,
    decision: null,
  };
}

const recorders: Recorders = {
  'turn.accepted': (turn) => ({ ...turn, accepted: true }),
  'session.busy': (turn, { atMs }) => ({ ...turn, busyAtMs: atMs, idle: null, idleIsEarly: false, retry: null, inconclusiveReads: 0 }),
  'session.idle': recordIdle,
  'session.retrying': (turn, { retry, atMs }, { limits }) => recordRetry({ ...turn, busyAtMs: atMs }, retry, atMs, limits),
  // The last turn's abort may be reported late.
  'session.errored': (turn, { error }) =>
    error.name === 'MessageAbortedError' && !turn.accepted ? turn : { ...turn, sessionError: turn.sessionError ?? error },
  'message.started': recordStarted,
  'message.finalised': recordFinal,
  'ask.opened': recordAsk,
  'ask.closed': recordAnswer,
  'child.busy': (turn, { sessionId }) =>
    turn.busyChildren.includes(sessionId) ? turn : { ...turn, busyChildren: [...turn.busyChildren, sessionId] },
  'child.quiet': (turn, { sessionId, atMs }) => ({
    ...turn,
    busyChildren: turn.busyChildren.filter((id) => id !== sessionId),
    childrenQuiet: { atMs, source: 'events' },
  }),
  'snapshot.read': recordSnapshot,
};

/**
 * Adds one fact. Facts may be repeated, late or early: recording one twice changes nothing, and one that belongs to an
 * earlier turn is told by our message id or by the missing busy.
 */
export function recordFact(turn: Turn, fact: TurnFact, context: SessionContext): Turn {
  const record = recorders[fact.type] as (turn: Turn, fact: TurnFact, context: SessionContext) => Turn;
  const next = record(turn, fact, context);
  return next === turn ? turn : { ...next, lastAtMs: Math.max(turn.lastAtMs, fact.atMs) };
}

/** An idle before any busy or answer of this turn is the last turn's second idle: opencode repeats it. */
function recordIdle(turn: Turn, { atMs }: FactOf<'session.idle'>, { sessionId }: SessionContext): Turn {
  if (turn.busyAtMs === null && turn.final === null) return turn;
  return {
    ...turn,
    idle: { atMs, source: 'events' },
    idleIsEarly: turn.final === null,
    retry: null,
    // Nobody waits for an answer in an idle session.
    openAsks: turn.openAsks.filter((ask) => ask.sessionId !== sessionId),
  };
}

function recordRetry(turn: Turn, retry: NonNullable<Turn['retry']>, atMs: number, limits: SessionLimits): Turn {
  const repeated = turn.lastRetry?.attempt === retry.attempt && turn.lastRetry.nextAtMs === retry.nextAtMs;
  return {
    ...turn,
    idle: null,
    idleIsEarly: false,
    retry,
    lastRetry: retry,
    retries: turn.retries + (repeated ? 0 : 1),
    decision: turn.decision ?? decideOnRetry(retry, atMs, limits),
  };
}

function recordStarted(turn: Turn, { id }: FactOf<'message.started'>): Turn {
  if (turn.newestMessageId !== null && id <= turn.newestMessageId) return turn;
  return { ...turn, accepted: true, newestMessageId: id, final: null, idle: null, idleIsEarly: false, inconclusiveReads: 0 };
}

function recordFinal(turn: Turn, { message, atMs }: FactOf<'message.finalised'>): Turn {
  if (turn.newestMessageId !== null && message.id < turn.newestMessageId) return turn;
  if (turn.final?.id === message.id) return { ...turn, final: { ...turn.final, ...message } };
  return {
    ...turn,
    accepted: true,
    newestMessageId: message.id,
    final: { ...message, atMs, source: 'events' },
    idleIsEarly: turn.idle !== null,
  };
}

function recordAsk(turn: Turn, { ask, atMs }: FactOf<'ask.opened'>): Turn {
  if (turn.closedAsks.includes(ask.id) || turn.openAsks.some(({ id }) => id === ask.id)) return turn;
  return { ...turn, openAsks: [...turn.openAsks, { ...ask, atMs }] };
}

function recordAnswer(turn: Turn, { id, rejectedQuestion, atMs }: FactOf<'ask.closed'>): Turn {
  return {
    ...turn,
    openAsks: turn.openAsks.filter((ask) => ask.id !== id),
    closedAsks: turn.closedAsks.includes(id) ? turn.closedAsks : [...turn.closedAsks, id],
    asksQuiet: { atMs, source: 'events' },
    questionRejected: turn.questionRejected || rejectedQuestion === true,
  };
}

function recordSnapshot(turn: Turn, { facts, atMs }: FactOf<'snapshot.read'>, context: SessionContext): Turn {
  if (facts.messageId !== turn.messageId) return turn;
  const read: Turn = {
    ...turn,
    readPending: false,
    unansweredReads: 0,
    stale: !context.streamLive,
    accepted: turn.accepted || facts.messageFound === true,
  };
  if (facts.status === 'idle') return recordIdleSnapshot(read, facts, atMs);
  const surroundings = withSurroundings({ ...read, busyAtMs: turn.busyAtMs ?? facts.startedAtMs, inconclusiveReads: 0 }, facts, atMs);
  if (facts.status !== 'busy') return recordRetry(surroundings, facts.status, atMs, context.limits);
  const running: Turn = { ...surroundings, idle: null, idleIsEarly: false, retry: null, stallSuspected: false };
  return turn.stallSuspected ? decideOnce(running, stalled(context.limits)) : running;
}

function recordIdleSnapshot(turn: Turn, facts: SnapshotFacts, atMs: number): Turn {
  // The stream said busy while the read was under way: it is newer.
  if (turn.busyAtMs !== null && turn.busyAtMs > facts.startedAtMs) return turn;
  const signal: Signal = { atMs, source: 'snapshot' };
  const final = facts.final ? { ...facts.final, ...signal } : turn.final;
  return {
    ...withSurroundings(turn, facts, atMs),
    newestMessageId: final?.id ?? turn.newestMessageId,
    final,
    idle: signal,
    idleIsEarly: false,
    retry: null,
    stallSuspected: false,
    inconclusiveReads: turn.inconclusiveReads + (final ? 0 : 1),
  };
}

function withSurroundings(turn: Turn, { busyChildren, asks }: SnapshotFacts, atMs: number): Turn {
  const signal: Signal = { atMs, source: 'snapshot' };
  return {
    ...turn,
    busyChildren,
    childrenQuiet: signal,
    openAsks: asks.filter(({ id }) => !turn.closedAsks.includes(id)),
    asksQuiet: signal,
  };
}

/** What is known, in the form that `proveTurnEnd` judges. */
export function evidenceOf(turn: Turn): TurnEvidence {
  const { final, idle, idleIsEarly, busyChildren, openAsks } = turn;
  return {
    messageId: turn.messageId,
    ...(final && {
      finalMessage: {
        id: final.id,
        atMs: final.atMs,
        source: final.source,
        failed: final.error !== undefined,
        ...(final.finish !== undefined && { finish: final.finish }),
      },
    }),
    ...(idle && !idleIsEarly && { idle }),
    ...(busyChildren.length === 0 && { childrenQuiet: turn.childrenQuiet }),
    ...(openAsks.length === 0 && { noPendingAsk: turn.asksQuiet }),
  };
}

/** The state in which an accepted turn belongs, by its facts alone. */
export function phaseOf(turn: Turn): TurnPhase {
  if (turn.decision) return 'aborting';
  if (turn.openAsks.length > 0) return 'awaitingInput';
  if (turn.retry) return 'backingOff';
  if (turn.busyChildren.length > 0) return 'waitingOnChildren';
  if (turn.idle) return 'settling';
  return 'running';
}
