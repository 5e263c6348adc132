import { isFinalReason } from '@opencode-manager/core/protocol';
import type { SessionContext, SessionMachineEvent, Turn, TurnBounds } from './session.types.ts';

type Submit = Extract<SessionMachineEvent, { type: 'turn.submit' | 'turn.resume' }>;

const unlimited: TurnBounds = { stallMs: null, workingMs: null, retryWaitMs: null, steps: null, tokens: null, usd: null };

/** A fresh turn, of which nothing is known but that it will be sent. */
export function freshTurn(
  { taskId, messageId, kind, timeoutMs, limits, emptyAnswer = 'refuse', atMs }: Submit,
  { liveSinceMs }: SessionContext,
): Turn {
  return {
    taskId,
    messageId,
    kind,
    timeoutMs,
    limits: { ...unlimited, ...limits },
    emptyAnswer,
    startedAtMs: atMs,
    spent: { steps: 0, tokens: 0, usd: 0 },
    workedMs: 0,
    workingSinceMs: atMs,
    lastAtMs: atMs,
    accepted: false,
    acceptedByEvents: false,
    submitError: null,
    statusAtMs: 0,
    busyAtMs: null,
    newestMessageId: null,
    newestReadAtMs: null,
    final: null,
    idle: null,
    idleSinceMs: null,
    children: {},
    childrenRead: null,
    openAsks: [],
    closedAsks: [],
    asksRead: null,
    questionRejected: false,
    retry: null,
    retries: [],
    sessionError: null,
    earlyError: null,
    missedEvents: false,
    takenBack: false,
    abortWithinMs: null,
    followedSinceMs: liveSinceMs === null ? null : atMs,
    readPending: false,
    stallSuspected: false,
    inconclusiveReads: 0,
    // One that begins in a gap has that one.
    gaps: liveSinceMs === null ? 1 : 0,
    decision: null,
  };
}

/** What the turn did again: nothing that was seen of an end stands any more. */
export const running = { idle: null, idleSinceMs: null, inconclusiveReads: 0 } as const;

/** opencode tells of one retry several times, and its events may come after reads that have shown later ones. */
export function recordRetry(turn: Turn, retry: NonNullable<Turn['retry']>): Turn {
  const isKnown = turn.retries.some(({ attempt, nextAtMs }) => attempt === retry.attempt && nextAtMs === retry.nextAtMs);
  return { ...turn, ...running, retry, retries: isKnown ? turn.retries : [...turn.retries, retry] };
}

export function busyChildrenOf({ children }: Turn): string[] {
  return Object.keys(children).filter((id) => children[id]!.busy);
}

/** The turn has come to its end, and waits only until the session tells or proves it. */
export function isEnding(turn: Turn): boolean {
  return turn.final !== null && !mayGoOn(turn) && turn.retry === null && busyChildrenOf(turn).length === 0;
}

/** A step or the turn has ended, and nothing was told of what follows; or the session is idle, and a sub-agent was not told quiet. */
export function isUnfollowed(turn: Turn): boolean {
  const { final, sessionError, earlyError, newestMessageId, idle } = turn;
  if (idle !== null) return busyChildrenOf(turn).length > 0;
  return final !== null || ((sessionError ?? earlyError) !== null && newestMessageId === null);
}

/** The turn has an end, and the model may yet go on after it. A shell line asks no model. */
export function mayGoOn({ kind, final }: Turn): boolean {
  return final !== null && kind !== 'shell' && final.error === undefined && !isFinalReason(final.finish);
}
