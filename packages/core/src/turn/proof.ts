import type { AssistantMessage, Message } from '../protocol/messages.ts';
import { isFinalReason } from './finish.ts';

/** Where a signal was seen: on the event stream, or by reading the server's state. */
export type SignalSource = 'events' | 'snapshot';

/** One of the four signals of a turn's end: when it was seen (milliseconds since the epoch), and where. */
export interface Signal {
  readonly atMs: number;
  readonly source: SignalSource;
  /** For a quiet that no event has broken: since when the events were followed without a gap. */
  readonly sinceMs?: number;
}

/** The four signals that together prove that a turn is over. */
export const proofSignals = ['final_message', 'session_idle', 'children_quiet', 'no_pending_ask'] as const;
export type ProofSignal = (typeof proofSignals)[number];

/** Every signal of a proven end; part of each task result. */
export type TurnProof = Readonly<Record<ProofSignal, Signal>>;

/** What is known of a turn at a moment. All of it is plain JSON. */
export interface TurnEvidence {
  /** Id of our user message. */
  readonly messageId: string;
  /** The newest assistant message that answers ours, once it is finalised. */
  readonly finalMessage?: Signal & {
    readonly id: string;
    /** opencode's finish reason; `tool-calls` means that another step usually follows. */
    readonly finish?: string;
    readonly failed: boolean;
  };
  /** The server said that the session is idle, after the final message was seen. */
  readonly idle?: Signal;
  /** No sub-agent session of this one is busy. */
  readonly childrenQuiet?: Signal;
  /** No permission or question of this session or its sub-agents is open. */
  readonly noPendingAsk?: Signal;
}

export type TurnEnd =
  | { readonly over: true; readonly proof: TurnProof; readonly finalMessageId: string }
  | { readonly over: false; readonly missing: readonly ProofSignal[] };

/**
 * Decides whether a turn is over. A turn's end is a proof, not an event: opencode repeats `idle`, says it early and
 * loses events. All four signals must be there. A final message that stopped for tool calls is an end only when a
 * snapshot (not an event) says that the session is idle: between two steps the stream looks the same.
 */
export function proveTurnEnd(evidence: TurnEvidence): TurnEnd {
  const { finalMessage, idle, childrenQuiet, noPendingAsk } = evidence;
  const missing: ProofSignal[] = [];
  if (!finalMessage) missing.push('final_message');
  if (!idle || !idleCounts(evidence)) missing.push('session_idle');
  if (!childrenQuiet) missing.push('children_quiet');
  if (!noPendingAsk) missing.push('no_pending_ask');
  if (missing.length > 0 || !finalMessage || !idle || !childrenQuiet || !noPendingAsk) return { over: false, missing };
  return {
    over: true,
    finalMessageId: finalMessage.id,
    proof: {
      final_message: { atMs: finalMessage.atMs, source: finalMessage.source },
      session_idle: idle,
      children_quiet: childrenQuiet,
      no_pending_ask: noPendingAsk,
    },
  };
}

function idleCounts({ finalMessage, idle }: TurnEvidence): boolean {
  if (!finalMessage || !idle) return idle !== undefined;
  if (idle.atMs < finalMessage.atMs) return false;
  return finalMessage.failed || isFinalReason(finalMessage.finish) || idle.source === 'snapshot';
}

/**
 * Whether an assistant message belongs to the turn that our user message began, that turn being the session's newest:
 * when opencode compacts a history that has become too long, it goes on under a user message of its own, with a later id.
 */
export function answersTurn({ parentId }: { readonly parentId: string }, messageId: string): boolean {
  return parentId >= messageId;
}

/**
 * Whether a user's message is that of the turn which `messageId` began, or one that opencode added to it. A command's message may have an id of the
 * server's own, which is later: a session has one turn at a time.
 */
export function beginsTurn({ role, id }: { readonly role: string; readonly id: string }, messageId: string): boolean {
  return role === 'user' && id >= messageId;
}

/** The newest assistant message of the turn that `messageId` began, when it is finalised; else undefined. */
export function finalAnswer(messages: Iterable<Message>, messageId: string): AssistantMessage | undefined {
  let newest: AssistantMessage | undefined;
  for (const message of messages) {
    if (message.role !== 'assistant' || !answersTurn(message, messageId)) continue;
    if (!newest || message.createdAtMs >= newest.createdAtMs) newest = message;
  }
  return newest?.completed ? newest : undefined;
}
