import type { Reply } from '../script/types.ts';
import type { Conversation } from './conversation.ts';
import type { Exchange } from './exchange.ts';
import { planAnswer, type AnswerPlan } from './plan.ts';
import {
  chunkEvent,
  completionBody,
  contextOverflowAnswer,
  errorAnswer,
  sseEvent,
  usageEvent,
  type AnswerIdentity,
  type ErrorAnswer,
} from './wire.ts';

/** How an answer went out. */
export type Delivery = 'completed' | 'failed' | 'cut';

export interface AnswerOptions {
  readonly conversation: Conversation;
  readonly reply: Reply;
  readonly identity: AnswerIdentity;
  readonly callNumber: number;
  readonly contextTokens: number;
}

/** A client that gets the pieces and the end in one read may take the whole for a connection that never stood. */
const settleBeforeCutMs = 100;

const streamHeaders = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' } as const;
const page = '<!doctype html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>';

/** Sends one answer as its script says, and tells how that went. Rejects with an `AbortError` when the client leaves. */
export async function sendAnswer(exchange: Exchange, options: AnswerOptions): Promise<Delivery> {
  const { reply, conversation } = options;
  if (reply.delayMs !== undefined) await exchange.pause(reply.delayMs);
  const plan = planAnswer(reply, conversation, options.callNumber);
  if (reply.error) return sendError(exchange, errorAnswer(reply.error));
  switch (reply.fault) {
    case 'context-overflow':
      return sendError(exchange, contextOverflowAnswer(options.contextTokens, plan.usage.prompt_tokens));
    case 'hang-before-headers':
      return exchange.hang();
    case 'cut-before-headers':
      exchange.cut();
      return 'cut';
    case 'html':
      exchange.head(200, { 'content-type': 'text/html; charset=utf-8' });
      await exchange.end(page);
      return 'completed';
    default:
      return conversation.stream ? sendStream(exchange, options, plan) : sendWhole(exchange, options, plan);
  }
}

async function sendError(exchange: Exchange, { status, headers, body }: ErrorAnswer): Promise<Delivery> {
  exchange.head(status, headers);
  await exchange.end(body);
  return 'failed';
}

async function sendStream(exchange: Exchange, options: AnswerOptions, plan: AnswerPlan): Promise<Delivery> {
  const { fault } = options.reply;
  exchange.head(200, streamHeaders);
  if (fault === 'hang-after-headers') return exchange.hang();
  if (fault === 'empty') {
    await exchange.end('data: [DONE]\n\n');
    return 'completed';
  }
  await exchange.write(chunkEvent(options.identity, { role: 'assistant', content: '' }));
  await sendPieces(exchange, options, plan);
  return closeStream(exchange, options, plan);
}

/** Writes the pieces at the scripted rate; those that are due together go out in one write. */
async function sendPieces(exchange: Exchange, { reply, identity }: AnswerOptions, plan: AnswerPlan): Promise<void> {
  const pieces = plan.pieces.slice(0, piecesBeforeFault(reply, plan));
  const msPerToken = reply.tokensPerSecond === undefined ? 0 : 1000 / reply.tokensPerSecond;
  const startedAt = performance.now();
  let tokens = 0;
  let due = '';
  for (const piece of pieces) {
    tokens += piece.tokens;
    const waitMs = startedAt + tokens * msPerToken - performance.now();
    if (waitMs >= 1) {
      if (due !== '') await exchange.write(due);
      due = '';
      await exchange.pause(waitMs);
    }
    due += chunkEvent(identity, piece.delta);
  }
  if (due !== '') await exchange.write(due);
}

function piecesBeforeFault({ fault, afterChunks }: Reply, { pieces }: AnswerPlan): number {
  const inTheMiddle = fault !== undefined && fault !== 'no-finish';
  return inTheMiddle ? (afterChunks ?? Math.ceil(pieces.length / 2)) : pieces.length;
}

async function closeStream(exchange: Exchange, { reply, identity }: AnswerOptions, plan: AnswerPlan): Promise<Delivery> {
  switch (reply.fault) {
    case 'hang-mid-stream':
      return exchange.hang();
    case 'cut-mid-stream':
      await exchange.pause(settleBeforeCutMs);
      exchange.cut();
      return 'cut';
    case 'malformed-json':
      await exchange.end('data: {"choices": [{"delta": {"content": \n\ndata: [DONE]\n\n');
      return 'completed';
    case 'error-in-stream':
      await exchange.end(sseEvent(JSON.parse(errorAnswer({ status: 500 }).body)));
      return 'completed';
    case 'no-finish':
      await exchange.end();
      return 'completed';
    default:
      await exchange.end(`${chunkEvent(identity, {}, plan.finish)}${usageEvent(identity, plan.usage)}data: [DONE]\n\n`);
      return 'completed';
  }
}

/** The same faults for a request without a stream: the body's middle is the stream's middle. */
async function sendWhole(exchange: Exchange, { reply, identity }: AnswerOptions, plan: AnswerPlan): Promise<Delivery> {
  const body = completionBody(identity, plan, reply.fault !== 'no-finish');
  const half = body.slice(0, Math.ceil(body.length / 2));
  if (reply.tokensPerSecond !== undefined) await exchange.pause((1000 * plan.usage.completion_tokens) / reply.tokensPerSecond);
  exchange.head(200, { 'content-type': 'application/json' });
  switch (reply.fault) {
    case 'hang-after-headers':
      return exchange.hang();
    case 'hang-mid-stream':
      await exchange.write(half);
      return exchange.hang();
    case 'cut-mid-stream':
      await exchange.write(half);
      await exchange.pause(settleBeforeCutMs);
      exchange.cut();
      return 'cut';
    default:
      await exchange.end(wholeBody(reply, body, half));
      return 'completed';
  }
}

function wholeBody({ fault }: Reply, body: string, half: string): string {
  if (fault === 'malformed-json') return half;
  if (fault === 'error-in-stream') return errorAnswer({ status: 500 }).body;
  return fault === 'empty' ? '' : body;
}
