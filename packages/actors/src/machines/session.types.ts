import type { PermissionRule, SerializedError } from '@opencode-manager/core';
import type { Signal, TurnError, TurnProof } from '@opencode-manager/core/protocol';
import type { Outcome } from '../task/types.ts';

/** Limits and waits of one session's turns, in milliseconds where a name ends in `Ms`. Plain JSON. */
export interface SessionLimits {
  /** A busy turn without a sign of progress for this long is looked at, and `stalled` when the server still says busy. */
  readonly stallTimeoutMs: number;
  /** An ask that is open for this long ends the turn as `needs_input`. */
  readonly askTimeoutMs: number;
  /** Longest announced wait for a provider that is sat out. */
  readonly maxRetryWaitMs: number;
  /** Provider retries of one step beyond which the turn ends. */
  readonly maxRetries: number;
  /** Deadline for the confirmation of an abort; then the session is quarantined. */
  readonly abortTimeoutMs: number;
  /** Deadline for the acceptance of a turn; then the history is read back. */
  readonly submitTimeoutMs: number;
  /** Wait before inconclusive evidence is settled by a read; doubles with each inconclusive read. */
  readonly settleMs: number;
  /** Wait before a read that failed or was inconclusive during a gap is repeated. */
  readonly reconcileRetryMs: number;
  /** Reads that say "idle, but no final answer" after which the turn counts as interrupted. */
  readonly maxInconclusiveReads: number;
}

/** An open permission or question request of the session or of one of its sub-agents. */
export interface OpenAsk {
  readonly id: string;
  readonly kind: 'permission' | 'question';
  readonly sessionId: string;
  readonly atMs: number;
  readonly permission?: string;
  readonly patterns?: readonly string[];
}

/** opencode waits before it asks the provider again. */
export interface ProviderRetry {
  readonly attempt: number;
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly nextAtMs: number;
}

/** The finalised assistant message that answers the turn. */
export interface FinalMessage extends Signal {
  readonly id: string;
  readonly finish?: string;
  readonly error?: TurnError;
  /** Neither text in the message nor a tool result in the turn. */
  readonly empty: boolean;
}

/** What the turn will end as. The first decision stands. */
export interface Decision {
  readonly outcome: Outcome;
  readonly error: SerializedError | null;
  readonly resetAtMs?: number;
  /** The rule that would have allowed what was asked. */
  readonly rule?: PermissionRule;
}

/** The turn in flight: facts only, from which phase, proof and verdict are computed. */
export interface Turn {
  readonly taskId: string;
  /** Id of our user message; all evidence is keyed by it. */
  readonly messageId: string;
  readonly kind: 'prompt' | 'command' | 'shell';
  readonly timeoutMs: number | null;
  readonly startedAtMs: number;
  /** Time of the newest event that told something. */
  readonly lastAtMs: number;
  /** The server has our message. */
  readonly accepted: boolean;
  readonly submitError: SerializedError | null;
  /** When the server last said busy during this turn; an idle before that belongs to an earlier turn. */
  readonly busyAtMs: number | null;
  readonly newestMessageId: string | null;
  readonly final: FinalMessage | null;
  readonly idle: Signal | null;
  /** The idle was seen before the final message: it proves nothing, but is worth a read. */
  readonly idleIsEarly: boolean;
  readonly busyChildren: readonly string[];
  readonly childrenQuiet: Signal;
  readonly openAsks: readonly OpenAsk[];
  readonly closedAsks: readonly string[];
  readonly asksQuiet: Signal;
  /** A question was rejected by policy; opencode ends the turn then. */
  readonly questionRejected: boolean;
  readonly retry: ProviderRetry | null;
  readonly lastRetry: ProviderRetry | null;
  readonly retries: number;
  readonly sessionError: TurnError | null;
  /** The stream had a gap and no read has closed it: events alone prove nothing. */
  readonly stale: boolean;
  readonly readPending: boolean;
  /** Reads asked for since the last that was answered. */
  readonly unansweredReads: number;
  readonly stallSuspected: boolean;
  readonly inconclusiveReads: number;
  readonly gaps: number;
  readonly decision: Decision | null;
}

/** How a turn ended. */
export interface FinishedTurn {
  readonly taskId: string;
  readonly messageId: string;
  readonly outcome: Outcome;
  readonly proof: TurnProof | null;
  readonly error: SerializedError | null;
  readonly finalMessageId: string | null;
  readonly retries: number;
  readonly gaps: number;
  readonly resetAtMs: number | null;
  /** The abort was not confirmed; the session is not used again. */
  readonly quarantined: boolean;
}

export interface SessionContext {
  readonly sessionId: string;
  readonly directory: string;
  readonly limits: SessionLimits;
  /** False between a gap of the event stream and its end. */
  readonly streamLive: boolean;
  readonly turns: number;
  /** Turns whose end was read from the next server, after it had been reported as interrupted. */
  readonly resumptions: number;
  readonly turn: Turn | null;
  readonly lastTurn: FinishedTurn | null;
}

export interface SessionInput {
  readonly sessionId: string;
  readonly directory: string;
  readonly limits?: Partial<SessionLimits>;
  readonly streamLive?: boolean;
}

/** What the server's state says about the turn, read after the request for it. */
export interface SnapshotFacts {
  /** Start of the read; what the stream said later is newer. */
  readonly startedAtMs: number;
  readonly messageId: string;
  readonly status: 'idle' | 'busy' | ProviderRetry;
  readonly busyChildren: readonly string[];
  readonly asks: readonly OpenAsk[];
  /** Whether our message stands in the history; null when the history was not read. */
  readonly messageFound: boolean | null;
  readonly final: Omit<FinalMessage, keyof Signal> | null;
}

interface At {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Facts about the turn in flight. They may come twice, late or early; none of them ends a turn by itself. */
export type TurnFact =
  | ({ readonly type: 'turn.accepted' } & At)
  | ({ readonly type: 'session.busy' } & At)
  | ({ readonly type: 'session.idle' } & At)
  | ({ readonly type: 'session.retrying'; readonly retry: ProviderRetry } & At)
  | ({ readonly type: 'session.errored'; readonly error: TurnError } & At)
  | ({ readonly type: 'message.started'; readonly id: string } & At)
  | ({ readonly type: 'message.finalised'; readonly message: Omit<FinalMessage, keyof Signal> } & At)
  | ({ readonly type: 'ask.opened'; readonly ask: Omit<OpenAsk, 'atMs'> } & At)
  | ({ readonly type: 'ask.closed'; readonly id: string; readonly rejectedQuestion?: boolean } & At)
  | ({ readonly type: 'child.busy'; readonly sessionId: string } & At)
  | ({ readonly type: 'child.quiet'; readonly sessionId: string } & At)
  | ({ readonly type: 'snapshot.read'; readonly facts: SnapshotFacts } & At);

/** What a turn begins with. */
interface TurnStart extends At {
  readonly taskId: string;
  readonly messageId: string;
  readonly kind: Turn['kind'];
  readonly timeoutMs: number | null;
}

/** Everything the session machine reacts to. */
export type SessionMachineEvent =
  | TurnFact
  | ({ readonly type: 'turn.submit' } & TurnStart)
  | { readonly type: 'turn.refused'; readonly error: SerializedError }
  | { readonly type: 'turn.unknown'; readonly error: SerializedError }
  | { readonly type: 'turn.abort'; readonly reason?: string }
  | { readonly type: 'turn.runaway'; readonly reason: string }
  /** Raised by the machine itself: an end was decided, and the server has not accepted the turn yet. */
  | { readonly type: 'submit.overdue' }
  /**
   * A sign of life of the turn: a delta, a part, a message; `agoMs` since it came. Each told one begins the stall's limit anew, so a host tells
   * of one when it is asked (`lookForProgress`), and while a stall is suspected.
   */
  | { readonly type: 'progress'; readonly agoMs?: number }
  /** No sign of life came within the stall's limit. Raised by the machine itself, where no host answers. */
  | { readonly type: 'turn.silent' }
  | { readonly type: 'stream.gap' }
  | { readonly type: 'stream.live' }
  | { readonly type: 'session.recover' }
  | { readonly type: 'session.deleted' }
  | { readonly type: 'session.failed'; readonly error: SerializedError }
  /** The server is lost for good. */
  | { readonly type: 'server.exited'; readonly error: SerializedError }
  /** The server was lost, and another one is started on its state. */
  | { readonly type: 'server.interrupted'; readonly error: SerializedError }
  /** Reads the end of a turn that was over when its server was lost. */
  | ({ readonly type: 'turn.resume' } & TurnStart);

export type SessionEmitted = { readonly type: 'turn.finished'; readonly turn: FinishedTurn };

/** Phases of a turn in flight: the nested states of `active`. */
export type TurnPhase =
  | 'submitting'
  | 'running'
  | 'backingOff'
  | 'awaitingInput'
  | 'waitingOnChildren'
  | 'settling'
  | 'reconciling'
  | 'aborting'
  | 'escalating';
