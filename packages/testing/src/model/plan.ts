import type { Reply } from '../script/types.ts';
import type { ChatMessage, Conversation } from './conversation.ts';
import { callAsOffered } from './tool-names.ts';

/** What one chunk of a stream adds to the message, in the wire's own shape. */
export interface Delta {
  readonly role?: 'assistant';
  readonly content?: string;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly WireToolCall[];
}

interface WireToolCall {
  readonly index: number;
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

export interface WireUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

/** One piece of an answer with the number of tokens it counts for in pacing and usage. */
interface Piece {
  readonly delta: Delta;
  readonly tokens: number;
}

/** An answer cut into the pieces that go over the wire. */
export interface AnswerPlan {
  readonly pieces: readonly Piece[];
  readonly finish: string;
  readonly usage: WireUsage;
}

/** Lays an answer out. `callNumber` makes the tool calls' ids unique and repeatable. */
export function planAnswer(reply: Reply, { messages, tools }: Pick<Conversation, 'messages' | 'tools'>, callNumber: number): AnswerPlan {
  // A stream that breaks in its middle needs a middle, whether it is paced or not.
  const fine = reply.tokensPerSecond !== undefined || reply.fault !== undefined;
  const reasoning = pieces(reply.reasoning, fine, (text) => ({ reasoning_content: text }));
  const said = reply.chunks
    ? reply.chunks.map((text) => ({ delta: { content: text }, tokens: tokensOf(text).length }))
    : pieces(reply.text, fine, (text) => ({ content: text }));
  const calls = (reply.toolCalls ?? []).map((call, index) => toolCallPiece(callAsOffered(call, tools), index, callNumber));
  const all = [...reasoning, ...said, ...calls];
  return {
    pieces: all,
    finish: reply.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop'),
    usage: usageOf(reply, messages, { reasoning: countTokens(reasoning), all: countTokens(all) }),
  };
}

function pieces(text: string | undefined, fine: boolean, delta: (text: string) => Delta): Piece[] {
  if (text === undefined || text === '') return [];
  const tokens = tokensOf(text);
  return fine ? tokens.map((token) => ({ delta: delta(token), tokens: 1 })) : [{ delta: delta(text), tokens: tokens.length }];
}

/** Words with the white space before them (the last one also with what follows): concatenated they are the text again. */
function tokensOf(text: string): string[] {
  return text.match(/\s*\S+(?:\s+$)?|^\s+$/g) ?? [];
}

function toolCallPiece(call: NonNullable<Reply['toolCalls']>[number], index: number, callNumber: number): Piece {
  const given = call.arguments ?? {};
  const text = typeof given === 'string' ? given : JSON.stringify(given);
  const toolCall = {
    index,
    id: `call_${callNumber}_${index + 1}`,
    type: 'function',
    function: { name: call.name, arguments: text },
  } as const;
  return { delta: { tool_calls: [toolCall] }, tokens: estimateTokens(text.length) };
}

function countTokens(list: readonly Piece[]): number {
  return list.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** The usual rule of thumb: four characters a token. */
function estimateTokens(characters: number): number {
  return Math.ceil(characters / 4);
}

function usageOf(
  { usage }: Reply,
  messages: readonly ChatMessage[],
  counted: { readonly reasoning: number; readonly all: number },
): WireUsage {
  const input = usage?.inputTokens ?? estimateTokens(JSON.stringify(messages).length);
  const output = usage?.outputTokens ?? counted.all;
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: usage?.cachedTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: usage?.reasoningTokens ?? counted.reasoning },
  };
}
