import type { TurnRequest } from '@opencode-manager/core';
import type { PermissionPolicy } from '@opencode-manager/core/policy';
import type { FinishedTurn, TurnBounds, TurnSpent } from '../machines/index.ts';
import type { AskDesk } from '../policy/ask-desk.ts';
import type { AnsweredAsk } from '../task/types.ts';
import type { PriceTable } from './prices.ts';
import { TurnObserver, type TurnSummary } from './turn-observer.ts';

/** What one turn needs. */
export interface TurnPlan {
  readonly taskId: string;
  readonly request: TurnRequest;
  readonly timeoutMs: number | null;
  readonly limits?: Partial<TurnBounds>;
  /** What earlier turns of the attempt have taken of these limits. */
  readonly spentBefore?: TurnSpent;
  readonly policy: PermissionPolicy;
  /** Whether an answer without text is good. Default `refuse`. */
  readonly emptyAnswer?: 'allow' | 'refuse';
}

/** What came of it. */
export interface TurnReport {
  readonly finished: FinishedTurn;
  readonly summary: TurnSummary;
  readonly asks: readonly AnsweredAsk[];
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** The resources of the turn that a session's host runs. */
export interface TurnInFlight {
  readonly plan: TurnPlan;
  readonly observer: TurnObserver;
  readonly desk: AskDesk;
  readonly startedAtMs: number;
  /** Ends calls that outlive the turn. */
  readonly calls: AbortController;
  readonly settled: PromiseWithResolvers<TurnReport>;
  /** When the newest activity came, by the clock that timers follow: a computer that sleeps stops both. */
  activeAtMs: number;
  /** The server has answered the request that carries it. */
  isTaken: boolean;
  /** When the first abort was answered that was sent after that. */
  abortedAtMs: number | undefined;
  /** A read is under way; one that is asked for meanwhile follows it. */
  reading: 'no' | 'yes' | 'again';
}

export function openTurn(
  plan: TurnPlan,
  desk: AskDesk,
  {
    startedAtMs,
    activeAtMs,
    ...bounds
  }: Pick<TurnInFlight, 'startedAtMs' | 'activeAtMs'> & { readonly maxAnswerBytes: number; readonly prices: PriceTable },
): TurnInFlight {
  const { messageId, kind } = plan.request;
  const { spentBefore } = plan;
  return {
    plan,
    observer: new TurnObserver({ messageId, kind, ...bounds, ...(spentBefore && { spentBefore }) }),
    desk,
    startedAtMs,
    calls: new AbortController(),
    settled: Promise.withResolvers<TurnReport>(),
    activeAtMs,
    isTaken: false,
    abortedAtMs: undefined,
    reading: 'no',
  };
}
