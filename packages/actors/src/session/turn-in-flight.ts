import type { TurnRequest } from '@opencode-manager/core';
import type { FinishedTurn } from '../machines/index.ts';
import type { AskDesk } from '../policy/ask-desk.ts';
import type { AnsweredAsk, PermissionPolicy } from '../task/types.ts';
import { LateAbort } from './late-abort.ts';
import { TurnObserver, type RunawayLimits, type TurnSummary } from './turn-observer.ts';

/** What one turn needs. */
export interface TurnPlan {
  readonly taskId: string;
  readonly request: TurnRequest;
  readonly timeoutMs: number | null;
  readonly policy: PermissionPolicy;
}

/** What came of it. */
export interface TurnReport {
  readonly finished: FinishedTurn;
  readonly summary: TurnSummary;
  readonly asks: readonly AnsweredAsk[];
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

/** What the host of a session keeps of the turn that it runs. */
export interface TurnInFlight {
  readonly plan: TurnPlan;
  readonly observer: TurnObserver;
  readonly startedAtMs: number;
  /** Ends calls that outlive the turn. */
  readonly closed: LateAbort;
  readonly settled: PromiseWithResolvers<TurnReport>;
  /** Made with the first ask: most turns have none. */
  desk: AskDesk | undefined;
  /** When the newest sign of life came, by the clock that timers follow: a computer that sleeps stops both. */
  lastSignMs: number;
  accepted: boolean;
}

/** A turn of which nothing is known but that it will be sent. */
export function beginTurn(
  plan: TurnPlan,
  runaway: RunawayLimits,
  { startedAtMs, lastSignMs }: Pick<TurnInFlight, 'startedAtMs' | 'lastSignMs'>,
): TurnInFlight {
  const { messageId, kind } = plan.request;
  return {
    plan,
    observer: new TurnObserver({ messageId, kind }, runaway),
    startedAtMs,
    closed: new LateAbort(),
    settled: Promise.withResolvers<TurnReport>(),
    desk: undefined,
    lastSignMs,
    accepted: false,
  };
}
