import { OpencodeManagerError, type ErrorCode, type ErrorDetails } from '../errors/index.ts';
import {
  answersTurn,
  codeOfTurnError,
  judgeFinish,
  type AssistantMessage,
  type MessageWithParts,
  type Part,
  type ToolPart,
  type TurnProof,
  type TurnRequest,
} from '../protocol/index.ts';
import type { TokenUsage, TurnAsk, TurnResult } from './types.ts';

/** A turn that is proven over, with all that is known of it. */
export interface EndedTurn {
  readonly messageId: string;
  readonly kind: TurnRequest['kind'];
  readonly emptyAnswer: 'allow' | 'refuse';
  readonly startedAtMs: number;
  readonly messages: readonly MessageWithParts[];
  /** Id of the message with which the end was proven. */
  readonly answerId: string;
  readonly proof: TurnProof;
  readonly asks: readonly TurnAsk[];
  /** The policy rejected a question of the turn. */
  readonly rejectedQuestion: boolean;
  /** Somebody here aborted the session meanwhile. */
  readonly abortRequested: boolean;
}

/** The result of a turn. @throws the code that its end stands for: see {@link judgeFinish} */
export function turnResult(turn: EndedTurn): TurnResult {
  const answers = turn.messages.filter(({ info }) => info.role === 'assistant' && answersTurn(info, turn.messageId));
  const infos = answers.map(({ info }) => info as AssistantMessage);
  const final = answers.find(({ info }) => info.id === turn.answerId)!;
  const text = saidIn(answers, final);
  const info = final.info as AssistantMessage;
  const note = judge(turn, info, text, answers);
  return {
    messageId: turn.messageId,
    answerId: info.id,
    text,
    ...(info.finish !== undefined && { finish: info.finish }),
    ...(note !== undefined && { note }),
    ...(turn.kind === 'shell' && { exitCode: final.parts.map(exitCodeOf).find((code) => code !== undefined) ?? null }),
    messages: answers,
    usage: sumUsage(infos),
    costUsd: infos.reduce((sum, { costUsd }) => sum + costUsd, 0),
    durationMs: Date.now() - turn.startedAtMs,
    asks: turn.asks,
    proof: turn.proof,
  };
}

/** Gives what is odd about a good end. */
function judge(
  turn: EndedTurn,
  { error, finish }: AssistantMessage,
  text: string,
  answers: readonly MessageWithParts[],
): string | undefined {
  if (error) throw failureOfMessage(turn, error);
  const hasToolResult = answers.some(({ parts }) => parts.some((part) => part.type === 'tool' && hasResult(part)));
  const { kind, emptyAnswer } = turn;
  const { code, note } = judgeFinish({ finish, hasText: text.trim() !== '', hasToolResult, kind, emptyAnswer });
  if (code === undefined) return note;
  if (code !== 'TURN_INTERRUPTED') throw failure(turn, code, note ?? '', { finish });
  // An abort while opencode waits for the provider leaves no error in the message.
  if (turn.abortRequested) throw failure(turn, 'TURN_ABORTED', 'The turn was aborted.', { finish });
  if (turn.rejectedQuestion) {
    throw failure(turn, 'INPUT_NEEDED', 'The turn asked a question, which the policy rejected; opencode ends the turn then.', { finish });
  }
  throw failure(turn, code, note ?? '', { finish });
}

function failureOfMessage(turn: EndedTurn, error: NonNullable<AssistantMessage['error']>): OpencodeManagerError {
  return failure(turn, codeOfTurnError(error), `The turn ended with ${error.name}: ${error.message}`, { ...error });
}

function failure({ messageId, answerId, asks }: EndedTurn, code: ErrorCode, message: string, details: ErrorDetails): OpencodeManagerError {
  return new OpencodeManagerError(code, message, {
    details: { ...details, messageId, answerId, ...(asks.length > 0 && { asks }) },
  });
}

const hasResult = ({ status }: ToolPart): boolean => status === 'completed' || status === 'failed';

const exitCodeOf = (part: Part): number | null | undefined => (part.type === 'tool' ? part.exitCode : undefined);

/** With the messages that it goes on with. */
function saidIn(answers: readonly MessageWithParts[], answer: MessageWithParts): string {
  const { continues } = answer.info as AssistantMessage;
  const before = continues === undefined ? undefined : answers.find(({ info }) => info.id === continues);
  return (before ? saidIn(answers, before) : '') + textOf(answer);
}

/**
 * What the model said, or for a shell line, which asks no model, what the line printed. A provider is asked again within
 * the same message: what a stream said that broke off stands before the last step, and is no part of the answer.
 */
function textOf({ parts }: MessageWithParts): string {
  const lastTry = parts.slice(parts.findLastIndex(({ type }) => type === 'step') + 1);
  const said = lastTry.map((part) => (part.type === 'text' && !part.synthetic ? part.text : '')).join('');
  return said !== '' || parts.length !== 1
    ? said
    : parts.map((part) => (part.type === 'tool' && hasResult(part) ? part.output : '')).join('');
}

/** Tokens of several assistant messages. */
function sumUsage(messages: readonly Pick<AssistantMessage, 'tokens'>[]): TokenUsage {
  const sum = (pick: (tokens: AssistantMessage['tokens']) => number) => messages.reduce((total, { tokens }) => total + pick(tokens), 0);
  return {
    input: sum(({ input }) => input),
    output: sum(({ output }) => output),
    reasoning: sum(({ reasoning }) => reasoning),
    cacheRead: sum(({ cacheRead }) => cacheRead),
    cacheWrite: sum(({ cacheWrite }) => cacheWrite),
  };
}
