import type { CallOptions } from '../http/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import {
  belongsToTurn,
  decodeTurnError,
  finalAnswer,
  proveTurnEnd,
  type AssistantMessage,
  type MessageWithParts,
  type ToolPart,
  type TurnProof,
} from '../protocol/index.ts';
import type { DirectorySnapshot, SessionOperations, TokenUsage, TurnResult } from './types.ts';

export interface TurnWatch {
  readonly operations: SessionOperations;
  readonly readSnapshot: (options?: CallOptions) => Promise<DirectorySnapshot>;
  readonly messageId: string;
  readonly startedAtMs: number;
  readonly signal: AbortSignal;
}

/** First and longest wait between two reads of a turn's state, in milliseconds. */
const pollMs = { first: 40, longest: 500, growth: 1.4 } as const;

/** Newest messages that are read while waiting; a turn with more steps is read whole at its end. */
const recentMessages = 20;

/**
 * Reads the server's state until a turn is proven over. Sessions of one directory share the reads of status and asks.
 * A session whose status is absent is idle; messages are read only then, so a long turn costs one small read a poll.
 */
export async function awaitTurn(watch: TurnWatch): Promise<TurnResult> {
  const { operations, signal } = watch;
  for (let waitMs: number = pollMs.first; ; waitMs = Math.min(pollMs.longest, waitMs * pollMs.growth)) {
    const snapshot = await watch.readSnapshot({ signal });
    if (snapshot.status[operations.id] === undefined) {
      const proven = await proveFromSnapshots(watch, snapshot);
      if (proven) return turnResult(watch, await operations.messages({}, { signal }), proven);
    }
    await pause(waitMs, signal);
  }
}

async function proveFromSnapshots(
  { operations, readSnapshot, messageId, signal }: TurnWatch,
  before: DirectorySnapshot,
): Promise<TurnProof | undefined> {
  const messages = await operations.messages({ limit: recentMessages }, { signal });
  const answer = finalAnswer(
    messages.map(({ info }) => info),
    messageId,
  );
  if (!answer) return undefined;
  const children = await operations.children({ signal });
  // Idle must be read after the final message was: before it, the session may have been between two steps.
  const after = await readSnapshot({ signal });
  const family = new Set([operations.id, ...children.map(({ id }) => id)]);
  const atMs = Date.now();
  const seen = { atMs, source: 'snapshot' } as const;
  const asks = [...after.permissions, ...after.questions].some(({ sessionID }) => family.has(sessionID));
  const end = proveTurnEnd({
    messageId,
    finalMessage: {
      id: answer.id,
      atMs: before.startedAtMs,
      source: 'snapshot',
      failed: answer.error !== undefined,
      ...(answer.finish !== undefined && { finish: answer.finish }),
    },
    ...(after.status[operations.id] === undefined && { idle: seen }),
    ...(children.every(({ id }) => after.status[id] === undefined) && { childrenQuiet: seen }),
    ...(!asks && { noPendingAsk: seen }),
  });
  return end.over ? end.proof : undefined;
}

function turnResult({ messageId, startedAtMs }: TurnWatch, messages: readonly MessageWithParts[], proof: TurnProof): TurnResult {
  const answers = messages.filter(({ info }) => info.role === 'assistant' && belongsToTurn(info, messageId));
  const infos = answers.map(({ info }) => info as AssistantMessage);
  const final = infos.at(-1)!;
  if (final.error) throw turnFailed(final);
  return {
    messageId,
    answerId: final.id,
    text: textOf(answers.at(-1)!),
    messages: answers,
    usage: sumUsage(infos),
    costUsd: infos.reduce((sum, { cost }) => sum + cost, 0),
    durationMs: Date.now() - startedAtMs,
    proof,
  };
}

function turnFailed({ error, id }: AssistantMessage): OpencodeManagerError {
  const decoded = decodeTurnError(error);
  const code = decoded.name === 'MessageAbortedError' ? 'TURN_ABORTED' : 'TURN_FAILED';
  return new OpencodeManagerError(code, `The turn ended with ${decoded.name}: ${decoded.message}`, {
    details: { ...decoded, answerId: id },
  });
}

/**
 * What the model said, or for a shell line, which asks no model, what the line printed. A provider is asked again within
 * the same message: what a stream said that broke off stands before the last `step-start`, and is no part of the answer.
 */
function textOf({ parts }: MessageWithParts): string {
  const lastTry = parts.slice(parts.findLastIndex(({ type }) => type === 'step-start') + 1);
  const said = lastTry.map((part) => (part.type === 'text' && !part.synthetic ? part.text : '')).join('');
  return said !== '' || parts.length !== 1 ? said : parts.map((part) => (part.type === 'tool' ? printed(part) : '')).join('');
}

function printed({ state }: ToolPart): string {
  if (state.status === 'completed') return state.output;
  return state.status === 'error' ? state.error : '';
}

/** Tokens of several assistant messages. */
function sumUsage(messages: readonly Pick<AssistantMessage, 'tokens'>[]): TokenUsage {
  const sum = (pick: (tokens: AssistantMessage['tokens']) => number) => messages.reduce((total, { tokens }) => total + pick(tokens), 0);
  return {
    input: sum(({ input }) => input),
    output: sum(({ output }) => output),
    reasoning: sum(({ reasoning }) => reasoning),
    cacheRead: sum(({ cache }) => cache.read),
    cacheWrite: sum(({ cache }) => cache.write),
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
