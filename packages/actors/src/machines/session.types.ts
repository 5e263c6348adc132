import type { SerializedError } from '@opencode-manager/core';
import type { PermissionPolicyRule } from '@opencode-manager/core/policy';
import type { ProviderRetry, Signal, TurnError, TurnProof } from '@opencode-manager/core/protocol';
import type { Outcome } from '../task/types.ts';

export type { ProviderRetry };

interface At {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Limits and waits of one session's turns, in milliseconds where a name ends in `Ms`. Plain JSON. */
export interface SessionLimits {
  /** A turn without activity for this long is looked at, and `stalled` when the server still says busy and nothing has changed. */
  readonly stallTimeoutMs: number;
  /** A permission request or question that is open for this long ends the turn as `needs_input`. */
  readonly askTimeoutMs: number;
  /** Longest announced wait for a provider that is sat out. */
  readonly maxRetryWaitMs: number;
  /** Provider retries of one step beyond which the turn ends. */
  readonly maxRetries: number;
  /** An abort that is not confirmed for this long ends what the session's tools have started. */
  readonly abortTimeoutMs: number;
  /** An abort that is not confirmed for this long quarantines the session. */
  readonly quarantineMs: number;
  /** Deadline for the acceptance of a turn; then the history is read back. */
  readonly submitTimeoutMs: number;
  /** Delay before inconclusive evidence is settled by a read; doubles with each inconclusive read. */
  readonly settleMs: number;
  /** Delay before a read looks for what should follow the end of a step; doubles while the server says busy. */
  readonly stepGraceMs: number;
  /** Delay before a read that failed or was inconclusive is repeated. */
  readonly reconcileRetryMs: number;
  /** Our message stands alone in an idle session for this long: the turn counts as interrupted. A prompt has begun seconds after its acceptance. */
  readonly unbegunTimeoutMs: number;
  /** The session is idle for this long with an answer that has no end, or without our message: no end will come. */
  readonly unfinishedTimeoutMs: number;
  /** Steps in a row with neither a tool call nor an end that make a runaway. */
  readonly runawayEmptySteps: number;
  /** UTF-8 bytes of text and reasoning that a turn may say, its sub-agents included. */
  readonly maxAnswerBytes: number;
  /** Whole repetitions of a cycle of tool calls, with equal inputs and equal results, that make a runaway. */
  readonly runawayRepetitions: number;
}

/** What one turn may take, its sub-agents included; null for no bound of its own. */
export interface TurnBounds {
  /** In place of the session's `stallTimeoutMs`. */
  readonly stallMs: number | null;
  /** Milliseconds of work: waits for the provider, and for answers to asks, are none. */
  readonly workingMs: number | null;
  /** In place of the session's `maxRetryWaitMs`. */
  readonly retryWaitMs: number | null;
  /** Steps of the model. */
  readonly steps: number | null;
  /** Uncached input, output and reasoning. */
  readonly tokens: number | null;
  readonly usd: number | null;
}

/** What a turn has taken, its sub-agents included, by the steps that have ended; a step that is under way counts as one. */
export interface TurnSpent {
  readonly steps: number;
  readonly tokens: number;
  readonly usd: number;
}

/** An open permission request or question of the session or of one of its sub-agents. */
export interface OpenAsk {
  readonly id: string;
  readonly kind: 'permission' | 'question';
  readonly sessionId: string;
  readonly atMs: number;
  readonly permission?: string;
  readonly patterns?: readonly string[];
}

/** What an assistant message that has ended says of its turn. */
export interface FinalFacts {
  readonly id: string;
  /** The user message that it answers. */
  readonly parentId: string;
  readonly finish?: string;
  readonly error?: TurnError;
  readonly hasText: boolean;
  /** A tool of the turn gave a result. */
  readonly hasToolResult: boolean;
  /** Of a shell line: null when it left none, absent until it was read. */
  readonly exitCode?: number | null;
}

/** The newest assistant message of the turn, once it has ended; `atMs` is when that was seen. */
export interface FinalMessage extends FinalFacts, Signal {}

/** What the turn will end as. The first decision stands. */
export interface Decision {
  readonly outcome: Outcome;
  readonly error: SerializedError | null;
  readonly resetAtMs?: number;
  /** What is odd about a good end. */
  readonly note?: string;
  /** The rules that would have allowed what was asked. */
  readonly rules?: readonly PermissionPolicyRule[];
}

/** A sub-agent session, as it was told last. */
export interface ChildState {
  readonly busy: boolean;
  readonly atMs: number;
}

/** The turn in flight: facts only, from which phase, proof and verdict are computed. */
export interface Turn {
  readonly taskId: string;
  /** Id of our user message; all evidence is keyed by it. */
  readonly messageId: string;
  readonly kind: 'prompt' | 'command' | 'shell';
  readonly timeoutMs: number | null;
  readonly limits: TurnBounds;
  readonly emptyAnswer: 'allow' | 'refuse';
  readonly startedAtMs: number;
  readonly spent: TurnSpent;
  /** Milliseconds of work before `workingSinceMs`. */
  readonly workedMs: number;
  /** Since when it works; null while it waits for its provider or for an answer. */
  readonly workingSinceMs: number | null;
  /** Time of the newest fact. */
  readonly lastAtMs: number;
  /** The server has our message. */
  readonly accepted: boolean;
  /** The stream told of our message: errors that it tells from then on are this turn's. */
  readonly acceptedByEvents: boolean;
  readonly submitError: SerializedError | null;
  /** When an event last said what the session does: a read that began before is older. */
  readonly statusAtMs: number;
  /** When the server first said busy during this turn. */
  readonly busyAtMs: number | null;
  readonly newestMessageId: string | null;
  /** Since when a read history is true that shows that message as the newest; null when none does. */
  readonly newestReadAtMs: number | null;
  readonly final: FinalMessage | null;
  readonly idle: Signal | null;
  /** First of the reads in a row that said idle while the turn has no end, or one after which a step may follow. */
  readonly idleSinceMs: number | null;
  readonly children: Readonly<Record<string, ChildState>>;
  /** The newest read of all of them since the last gap. */
  readonly childrenRead: Signal | null;
  readonly openAsks: readonly OpenAsk[];
  readonly closedAsks: readonly string[];
  readonly asksRead: Signal | null;
  /** A question was rejected by policy; opencode ends the turn then. */
  readonly questionRejected: boolean;
  readonly retry: ProviderRetry | null;
  /** Each wait for the provider that was told or read, as it came to be known. */
  readonly retries: readonly ProviderRetry[];
  /** What the stream reported of the session, and when. */
  readonly sessionError: (TurnError & At) | null;
  /** An error that was told before our message: of an earlier turn, or why this one does not begin; a read of the history tells. */
  readonly earlyError: (TurnError & At) | null;
  /** Events of it are gone: those that came later may not be whole. */
  readonly missedEvents: boolean;
  /** It was accepted, then aborted, and the server has nothing of it: opencode 2 keeps a prompt apart until its turn begins, and an abort takes it away. */
  readonly takenBack: boolean;
  /** Bound of the wait for an abort's confirmation, where its caller gave one. */
  readonly abortWithinMs: number | null;
  /** Since when the events of the turn were followed without a gap; null after a gap that no read has closed. */
  readonly followedSinceMs: number | null;
  readonly readPending: boolean;
  readonly stallSuspected: boolean;
  /** Reads that did not conclude the turn, in a row. */
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
  /** The finish reason of the final message. */
  readonly finish: string | null;
  /** What is odd about the end, in sentences. */
  readonly notes: readonly string[];
  readonly finalMessageId: string | null;
  readonly retries: number;
  readonly gaps: number;
  readonly resetAtMs: number | null;
  /** It is unknown whether the server still works on it; the session is not used again. */
  readonly quarantined: boolean;
}

export interface SessionContext {
  readonly sessionId: string;
  readonly directory: string;
  readonly limits: SessionLimits;
  /** Since when the event stream is live; null between a gap and its end. */
  readonly liveSinceMs: number | null;
  readonly turns: number;
  /** Turns whose end was read from the next server, after it had been reported as interrupted. */
  readonly resumptions: number;
  /** Asks of earlier turns: opencode keeps those of an aborted turn in its lists. */
  readonly pastAsks: readonly string[];
  readonly turn: Turn | null;
  readonly lastTurn: FinishedTurn | null;
}

export interface SessionInput {
  readonly sessionId: string;
  readonly directory: string;
  readonly limits?: Partial<SessionLimits>;
  readonly streamLive?: boolean;
  /** Now, in milliseconds since the epoch. */
  readonly atMs?: number;
}

/**
 * What was read of the turn. A read is several answers: each was true at a time after its `sinceMs` (milliseconds since the
 * epoch). The history is read before the status, so that an idle that counts was read after the final message was seen.
 */
export interface TurnReading {
  readonly messageId: string;
  /** null when it was not read. */
  readonly history: {
    readonly sinceMs: number;
    /** When the answer came. */
    readonly seenAtMs: number;
    /** Our user message, or an answer to it, stands there. */
    readonly found: boolean;
    /** The turn's newest assistant message; `final` once it has ended. */
    readonly newest: { readonly id: string; readonly final: FinalFacts | null } | null;
    /** It says what was not known before. */
    readonly changed: boolean;
    /** Errors that stand in the answers of earlier turns. */
    readonly pastErrors?: readonly Pick<TurnError, 'name' | 'message'>[];
  } | null;
  readonly status: { readonly sinceMs: number; readonly value: 'idle' | 'busy' | ProviderRetry };
  /** Every known sub-agent session. */
  readonly children: {
    readonly sinceMs: number;
    readonly busy: readonly string[];
    readonly quiet: readonly string[];
    /** Idle, with a prompt of this turn and no answer to it: they may begin still. */
    readonly unbegun: readonly string[];
    /** Since when sub-agents that no event told of were looked for; null when they were not. */
    readonly wholeSinceMs: number | null;
  };
  /** null when the server could not list them. */
  readonly asks: { readonly sinceMs: number; readonly listed: readonly OpenAsk[] } | null;
  /** How long ago the newest activity of the turn came, by events or by what was read. */
  readonly agoMs: number;
  /** When the first abort was answered that was sent after the server had accepted the turn; where an abort takes back what has not begun. */
  readonly abortedAtMs?: number;
}

/** Facts about the turn in flight. They may come twice, late or early; none of them ends a turn by itself. */
export type TurnFact =
  /** By the answer of the request, or by an event that shows our message. */
  | ({ readonly type: 'turn.accepted'; readonly source: 'answer' | 'events' } & At)
  | ({ readonly type: 'session.busy' } & At)
  | ({ readonly type: 'session.idle' } & At)
  | ({ readonly type: 'session.retrying'; readonly retry: ProviderRetry } & At)
  | ({ readonly type: 'session.errored'; readonly error: TurnError } & At)
  | ({ readonly type: 'message.started'; readonly id: string; readonly parentId: string } & At)
  | ({ readonly type: 'message.finalised'; readonly message: FinalFacts } & At)
  | ({ readonly type: 'ask.opened'; readonly ask: Omit<OpenAsk, 'atMs'> } & At)
  | ({ readonly type: 'ask.closed'; readonly id: string; readonly rejectedQuestion?: boolean } & At)
  | ({ readonly type: 'child.busy'; readonly sessionId: string } & At)
  | ({ readonly type: 'child.quiet'; readonly sessionId: string } & At)
  /** opencode goes on with the turn of a session that is deleted. */
  | ({ readonly type: 'child.deleted'; readonly sessionId: string } & At)
  | ({ readonly type: 'snapshot.read'; readonly reading: TurnReading } & At);

/** What a turn begins with. */
interface TurnStart extends At {
  readonly taskId: string;
  readonly messageId: string;
  readonly kind: Turn['kind'];
  readonly timeoutMs: number | null;
  readonly limits?: Partial<TurnBounds>;
  readonly emptyAnswer?: Turn['emptyAnswer'];
}

/** How a turn goes round in circles, as far as its steps and tool calls tell. */
export interface LoopFacts {
  /** Steps in a row that ended with neither a tool call nor an end. */
  readonly emptySteps: number;
  /** The newest tool calls are so many whole repetitions of a cycle of `period` calls, equal in inputs and results. */
  readonly repetitions: number;
  readonly period: number;
}

/** Everything the session machine reacts to. */
export type SessionMachineEvent =
  | TurnFact
  | ({ readonly type: 'turn.submit' } & TurnStart)
  /** The server certainly did not take the turn. */
  | { readonly type: 'turn.refused'; readonly error: SerializedError }
  /** Whether the server took the turn is unknown. */
  | { readonly type: 'turn.unknown'; readonly error: SerializedError }
  /** `withinMs` bounds the wait for its confirmation, in place of `quarantineMs`. */
  | { readonly type: 'turn.abort'; readonly reason?: string; readonly withinMs?: number }
  | { readonly type: 'loop.seen'; readonly loop: LoopFacts }
  /** A step has ended, here or in a sub-agent. Told after the message that it ended with. */
  | { readonly type: 'usage.seen'; readonly spent: TurnSpent }
  /** The turn has said more than it may, in bytes; told once. */
  | { readonly type: 'answer.oversized'; readonly bytes: number }
  /** The answer to `lookForProgress`: how long ago the newest activity of the turn came. */
  | ({ readonly type: 'progress'; readonly agoMs: number } & At)
  /** Raised by the machine itself, as timers. */
  | { readonly type: 'stall.due' }
  | { readonly type: 'step.due' }
  | { readonly type: 'ask.due' }
  | { readonly type: 'work.due' }
  | { readonly type: 'abort.again' }
  | { readonly type: 'quarantine.due' }
  | { readonly type: 'stream.gap' }
  /** `incomplete`: what came in the gap is gone, and later events may lack what they build on. */
  | ({ readonly type: 'stream.live'; readonly incomplete?: true } & At)
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

/** What a read is to look at besides status, sub-agents and asks. */
export interface ReadRequest {
  readonly history: boolean;
  /** Sub-agent sessions that no event told of may be there. */
  readonly descendants: boolean;
}

/** Phases of a turn in flight: the nested states of `active`. */
export type TurnPhase =
  | 'submitting'
  | 'running'
  | 'backingOff'
  | 'awaitingInput'
  | 'waitingOnChildren'
  | 'settling'
  | 'reconciling'
  | 'aborting';
