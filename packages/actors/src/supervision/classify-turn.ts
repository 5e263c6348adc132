import { beginsTurn, isFinalReason, type AssistantMessageFacts, type MessageHistory } from '@opencode-manager/core/protocol';

/**
 * What became of a turn whose server was lost. `finished`: its answer stands, whoever was there to see it.
 * `interrupted`: the server had our message, and its answer breaks off. `never_started`: the server never had it, so
 * no model was asked.
 */
export type TurnFate = 'finished' | 'interrupted' | 'never_started';

interface LostTurn {
  /** Id of our user message. */
  readonly messageId: string;
  readonly kind: 'prompt' | 'command' | 'shell';
}

/** Reads the fate of a turn from the messages that it left in its session. Only valid when nothing runs there any more. */
export function classifyTurn(history: readonly MessageHistory[], turn: LostTurn): TurnFate {
  const newest = newestAnswer(history, turn.messageId);
  if (newest) return isFinal(newest.message, turn.kind) ? 'finished' : 'interrupted';
  return history.some(({ message }) => beginsTurn(message, turn.messageId)) ? 'interrupted' : 'never_started';
}

type Answer = MessageHistory & { readonly message: AssistantMessageFacts };

/** opencode adds user messages of its own to a turn (compaction), with later ids: what answers those belongs to it too. */
function newestAnswer(history: readonly MessageHistory[], messageId: string): Answer | undefined {
  let newest: Answer | undefined;
  for (const one of history) {
    if (!isAnswer(one) || one.message.parentId < messageId) continue;
    if (!newest || one.message.id > newest.message.id) newest = one;
  }
  return newest;
}

function isAnswer(one: MessageHistory): one is Answer {
  return one.message.role === 'assistant';
}

/** After `tool-calls` or no reason at all another step would have followed; a shell line never has a reason. */
function isFinal({ completed, finish, error }: AssistantMessageFacts, kind: LostTurn['kind']): boolean {
  if (!completed || error?.kind === 'aborted') return false;
  if (error || kind === 'shell') return true;
  return isFinalReason(finish);
}
