import { proveTurnEnd, type TurnProof } from '@opencode-manager/core/protocol';
import type { FinishedTurn, SessionContext, SessionLimits, Turn } from './session.types.ts';
import { evidenceOf } from './turn-facts.ts';
import { finishTurn, leavesSessionWell, verdictOf } from './turn-verdict.ts';

function proofOf(turn: Turn): TurnProof | null {
  const end = proveTurnEnd(evidenceOf(turn));
  return end.over ? end.proof : null;
}

/** After a gap, what the stream said proves nothing until a read has confirmed it. */
function isProven(turn: Turn): boolean {
  // Asked after every fact, most of which come before the idle.
  if (turn.idle === null) return false;
  const proof = proofOf(turn);
  return proof !== null && (!turn.stale || proof.session_idle.source === 'snapshot');
}

/** More reads for a turn that nothing was seen of: with waits that double, about twenty seconds in all. */
const readsMoreUnlessBegun = 3;

/**
 * No answer will come: the server stayed idle over several reads. A turn that was accepted but shows no sign yet gets
 * longer: the first prompt of a directory has taken 2.7 s to begin, and the server is idle until then.
 */
function isExhausted({ accepted, inconclusiveReads, busyAtMs, newestMessageId, sessionError }: Turn, limits: SessionLimits): boolean {
  const begun = busyAtMs !== null || newestMessageId !== null || sessionError !== null;
  return accepted && inconclusiveReads >= limits.maxInconclusiveReads + (begun ? 0 : readsMoreUnlessBegun);
}

/** Whether a turn is over, and how it leaves the session; undefined while it is not over. */
export function endOf({ turn, limits }: SessionContext, isAborting: boolean): 'well' | 'badly' | undefined {
  if (!turn) return undefined;
  // Sub-agents and asks end with an aborted root; nobody waits for them.
  const aborted = isAborting && turn.idle !== null;
  const quiet = turn.openAsks.length === 0 && turn.busyChildren.length === 0;
  if (!aborted && !(quiet && (isProven(turn) || isExhausted(turn, limits)))) return undefined;
  return leavesSessionWell((turn.decision ?? verdictOf(turn)).outcome) ? 'well' : 'badly';
}

/**
 * Each inconclusive read doubles the wait: a slow server gets time, a fast one is not kept waiting. Where the answer is
 * there and only an event cannot prove it (a shell line ends without a finish reason), nothing is waited for.
 */
export function settleDelayOf(turn: Turn | null, { settleMs }: SessionLimits): number {
  if (turn?.final && turn.idle?.source === 'events' && !turn.idleIsEarly) return 0;
  return settleMs * 2 ** (turn?.inconclusiveReads ?? 0);
}

/** Moves the turn in flight to the ended ones. */
export function conclude(context: SessionContext, quarantined: boolean): Partial<SessionContext> {
  if (!context.turn) return {};
  const lastTurn: FinishedTurn = finishTurn(context.turn, proofOf(context.turn), quarantined);
  return { turn: null, lastTurn };
}
