import type { TurnRequest } from '@opencode-manager/core';
import type { FinishedTurn } from '../machines/index.ts';
import type { AskDesk } from '../policy/ask-desk.ts';
import type { AnsweredAsk, PermissionPolicy } from '../task/types.ts';
import type { LateAbort } from './late-abort.ts';
import type { TurnObserver, TurnSummary } from './turn-observer.ts';

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
  lastProgressMs: number;
  accepted: boolean;
}
