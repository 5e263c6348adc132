import type { AssistantMessage, MessageWithParts } from '@opencode-manager/core/protocol';

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
export function classifyTurn(history: readonly MessageWithParts[], turn: LostTurn): TurnFate {
  const newest = newestAnswer(history, turn.messageId);
  if (newest) return isFinal(newest.info, turn.kind) ? 'finished' : 'interrupted';
  return history.some(({ info }) => info.id === turn.messageId) ? 'interrupted' : 'never_started';
}

/**
 * Whether a step of the turn broke off after it had called a tool. opencode notes the files that a step changed when the
 * step ends, so a revert does not know what such a tool did.
 */
export function hasUnfinishedTools(history: readonly MessageWithParts[], messageId: string): boolean {
  const newest = newestAnswer(history, messageId);
  return newest !== undefined && newest.info.time.completed === undefined && newest.parts.some(({ type }) => type === 'tool');
}

type Answer = MessageWithParts & { readonly info: AssistantMessage };

/** opencode adds user messages of its own to a turn (compaction), with later ids: what answers those belongs to it too. */
function newestAnswer(history: readonly MessageWithParts[], messageId: string): Answer | undefined {
  let newest: Answer | undefined;
  for (const message of history) {
    if (!isAnswer(message) || message.info.parentID < messageId) continue;
    if (!newest || message.info.id > newest.info.id) newest = message;
  }
  return newest;
}

function isAnswer(message: MessageWithParts): message is Answer {
  return message.info.role === 'assistant';
}

/** After `tool-calls` or no reason at all another step would have followed; a shell line never has a reason. */
function isFinal({ time, finish, error }: AssistantMessage, kind: LostTurn['kind']): boolean {
  if (time.completed === undefined || error?.name === 'MessageAbortedError') return false;
  if (error || kind === 'shell') return true;
  return finish !== undefined && finish !== 'tool-calls' && finish !== 'unknown';
}
