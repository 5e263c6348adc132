import { proveTurnEnd, type TurnProof } from '@opencode-manager/core/protocol';
import type { FinishedTurn, SessionContext, SessionLimits, Turn } from './session.types.ts';
import { busyChildrenOf } from './turn.ts';
import { evidenceOf } from './turn-facts.ts';
import { finishTurn, leavesSessionWell, verdictOf } from './turn-verdict.ts';

function proofOf(turn: Turn): TurnProof | null {
  // Asked after every fact, most of which come before the idle.
  if (turn.idle === null || turn.final === null) return null;
  const end = proveTurnEnd(evidenceOf(turn));
  return end.over ? end.proof : null;
}

/** The turn failed before it began: the session reported an error, then idle, and no assistant message. */
function failedToBegin({ sessionError, newestMessageId, idle }: Turn): boolean {
  return sessionError !== null && newestMessageId === null && idle !== null && (idle.sinceMs ?? idle.atMs) > sessionError.atMs;
}

/** Whether a turn is over, and how it leaves the session; undefined while it is not over. */
export function endOf({ turn }: SessionContext): 'well' | 'badly' | undefined {
  if (!turn) return undefined;
  const isOver = proofOf(turn) !== null || (failedToBegin(turn) && turn.openAsks.length === 0 && busyChildrenOf(turn).length === 0);
  if (!isOver) return undefined;
  return leavesSessionWell((turn.decision ?? verdictOf(turn)).outcome) ? 'well' : 'badly';
}

/**
 * An abort is confirmed when our message has an answer that ended, and the session was idle after that. An idle alone says nothing: a
 * prompt begins seconds after its acceptance, and an abort before that does nothing, unless it has taken the prompt back. Asks end with the turn.
 */
export function isAbortConfirmed({ turn }: SessionContext): boolean {
  if (!turn) return false;
  if (busyChildrenOf(turn).length > 0) return false;
  return turn.takenBack || proofOf({ ...turn, openAsks: [] }) !== null || failedToBegin(turn);
}

/** No end will come: reads said idle for long enough, and there is no answer that ended. */
export function isExhausted({ turn, limits }: SessionContext): boolean {
  if (!turn || turn.final || turn.idle?.source !== 'snapshot' || turn.idleSinceMs === null) return false;
  // When it was so, not when it was told: one slow read is no long silence.
  return (turn.idle.sinceMs ?? turn.idle.atMs) - turn.idleSinceMs >= patienceOf(turn, limits);
}

/** How long a turn may be idle without an answer that ended. */
function patienceOf({ accepted, newestMessageId, submitError, kind }: Turn, limits: SessionLimits): number {
  if (newestMessageId !== null) return limits.unfinishedTimeoutMs;
  if (accepted) return limits.unbegunTimeoutMs;
  // A command is stored only after its templates have run.
  return submitError === null && kind !== 'prompt' ? limits.stallTimeoutMs : limits.unfinishedTimeoutMs;
}

/**
 * The delay before a read. Each inconclusive one doubles it: a slow server gets time, a fast one is not kept waiting. Where the answer is
 * there and only an event cannot prove it (a shell line ends without a finish reason), nothing is waited for.
 */
export function settleDelayOf(turn: Turn | null, { settleMs, reconcileRetryMs }: SessionLimits): number {
  return turn?.final && turn.inconclusiveReads === 0 ? 0 : doubled(turn, settleMs, reconcileRetryMs);
}

/** The delay before a read that looks for what follows a step. */
export function stepDelayOf(turn: Turn | null, { stepGraceMs, unbegunTimeoutMs }: SessionLimits): number {
  return doubled(turn, stepGraceMs, unbegunTimeoutMs);
}

function doubled(turn: Turn | null, ms: number, longestMs: number): number {
  return Math.min(longestMs, ms * 2 ** Math.min(turn?.inconclusiveReads ?? 0, 16));
}

/** Moves the turn in flight to the ended ones. */
export function conclude({ turn, pastAsks }: SessionContext, quarantined: boolean): Partial<SessionContext> {
  if (!turn) return {};
  const lastTurn: FinishedTurn = finishTurn(turn, proofOf(turn), quarantined);
  const asks = [...turn.openAsks.map(({ id }) => id), ...turn.closedAsks];
  return { turn: null, lastTurn, ...(asks.length > 0 && { pastAsks: [...pastAsks, ...asks] }) };
}
