import type { ErrorCode } from '../errors/codes.ts';

/** What is known of the final assistant message of a turn that ended without an error. */
export interface FinishFacts {
  /** opencode's finish reason; undefined when there is none. */
  readonly finish: string | undefined;
  /** The final message says something. */
  readonly hasText: boolean;
  /** A tool of the turn gave a result. */
  readonly hasToolResult: boolean;
  readonly kind: 'prompt' | 'command' | 'shell';
  /** Of a shell line; null when it left none, absent when none is known. */
  readonly exitCode?: number | null;
  /** Whether an answer without text is good: work whose result is in files may end so. */
  readonly emptyAnswer: 'allow' | 'refuse';
}

export interface FinishVerdict {
  readonly outcome: 'succeeded' | 'failed' | 'interrupted';
  /** Present unless the turn succeeded. */
  readonly code?: ErrorCode;
  /** Why, in a sentence; for a success, what is odd about it. */
  readonly note?: string;
}

/** Whether a message with this finish reason ends its turn: after tool calls, or without any reason, another step follows. */
export function isFinalReason(finish: string | undefined): boolean {
  return finish !== undefined && finish !== 'tool-calls';
}

/**
 * What a turn's end means, by the finish reason of its final message. The one table of the project (docs/outcomes.md is
 * generated from it). Pure, for machines and hosts alike. An error of the message is judged before, elsewhere.
 *
 * @example
 * judgeFinish({ finish: 'length', hasText: true, hasToolResult: false, kind: 'prompt', emptyAnswer: 'refuse' })
 * // { outcome: 'failed', code: 'ANSWER_TRUNCATED', note: 'The answer was cut off ...' }
 */
export function judgeFinish(facts: FinishFacts): FinishVerdict {
  const { finish, kind } = facts;
  // A shell line asks no model, so it has no reason.
  if (kind === 'shell') return judgeShell(facts);
  if (finish === undefined || !isFinalReason(finish)) {
    return interrupted(`The turn ended without an answer (finish ${finish === undefined ? 'missing' : `"${finish}"`}).`);
  }
  switch (finish) {
    case 'length':
      return failed('ANSWER_TRUNCATED', 'The answer was cut off at the limit of output tokens (finish "length").');
    case 'content-filter':
      return failed('ANSWER_FILTERED', 'The content filter of the provider ended the answer (finish "content-filter").');
    case 'error':
      return failed('TURN_FAILED', 'The provider ended the answer with an error that it did not name (finish "error").');
    default:
      return judgeAnswer(facts, finish);
  }
}

function judgeShell({ exitCode }: FinishFacts): FinishVerdict {
  if (exitCode === undefined || exitCode === 0) return { outcome: 'succeeded' };
  if (exitCode !== null) return failed('SHELL_FAILED', `The shell line ended with exit code ${exitCode}.`);
  return failed('SHELL_FAILED', 'The shell line left no exit code: its syntax is wrong, or its shell was ended.');
}

function judgeAnswer({ hasText, hasToolResult, emptyAnswer }: FinishFacts, finish: string): FinishVerdict {
  if (!hasText && emptyAnswer === 'refuse') {
    const after = hasToolResult ? ', although a tool gave a result' : '';
    return failed('ANSWER_EMPTY', `The model ended its turn (finish "${finish}") without text${after}.`);
  }
  if (finish === 'stop') return { outcome: 'succeeded' };
  return { outcome: 'succeeded', note: `The finish reason "${finish}" is not one that is known; the answer may not be whole.` };
}

const interrupted = (note: string): FinishVerdict => ({ outcome: 'interrupted', code: 'TURN_INTERRUPTED', note });
const failed = (code: ErrorCode, note: string): FinishVerdict => ({ outcome: 'failed', code, note });
