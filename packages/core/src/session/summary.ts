import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import {
  codeOfTurnError,
  judgeFinish,
  type AssistantMessage,
  type MessageWithParts,
  type ServerCalls,
  type SessionCalls,
} from '../protocol/index.ts';
import { pause } from './pause.ts';

/** Deadline of a summary, which asks a model, in milliseconds. */
const summaryTimeoutMs = 300_000;

/** How long a summary that was given up may go on, how long its request may be on its way, and the wait between two looks; milliseconds. */
const withdrawal = { longestMs: 6000, unseenMs: 2000, pollMs: 100 } as const;

/** Newest messages among which the summary stands; opencode may add one behind it. */
const recentMessages = 5;

/** Where a summary is made. */
export interface SummaryPlace {
  readonly calls: ServerCalls;
  readonly session: SessionCalls;
  readonly id: string;
  readonly directory: string;
  /** Messages can be taken out of the session. */
  readonly removable: boolean;
}

/**
 * Lets a model summarise a session. Of one that fails or is given up nothing is left, and the session is idle: opencode would try it again
 * in the next turn.
 * @throws `TURN_FAILED`, `TURN_ABORTED`, `TURN_INTERRUPTED`, `ANSWER_EMPTY`, `ANSWER_TRUNCATED`, `ANSWER_FILTERED`
 */
export async function summarize(place: SummaryPlace, model: string, options: CallOptions = {}): Promise<void> {
  const { session } = place;
  options.signal?.throwIfAborted();
  const sinceMs = Date.now();
  try {
    const answer = await session.summarize(model, { timeoutMs: summaryTimeoutMs, ...options });
    // opencode answers the same whether the summary was made or not.
    assertMade(answer ? { request: undefined, answer } : await readSummary(place, sinceMs, options));
  } catch (error) {
    await withdraw(place, sinceMs).catch(() => undefined);
    throw error;
  }
}

/** The request for a summary, as opencode keeps it among the messages, and the answer to it. */
interface Summary {
  readonly request: MessageWithParts | undefined;
  readonly answer: MessageWithParts | undefined;
}

async function readSummary({ session }: SummaryPlace, sinceMs: number, options?: CallOptions): Promise<Summary> {
  const messages = await session.messages(recentMessages, options);
  const request = messages.findLast(({ info, parts }) => info.createdAtMs >= sinceMs && parts.some(({ type }) => type === 'compaction'));
  const answer = messages.find(({ info }) => info.role === 'assistant' && info.parentId === request?.info.id);
  return { request, answer };
}

/** Aborts it until the session is idle, and takes the request back; one that is still on its way is waited for. */
async function withdraw(place: SummaryPlace, sinceMs: number): Promise<void> {
  const startedAtMs = performance.now();
  const taken = { back: false };
  for (let tookMs = 0; tookMs < withdrawal.longestMs; tookMs = performance.now() - startedAtMs) {
    // opencode keeps the request before it is busy with it, and deletes nothing of a busy session: the next look decides.
    const left = await takeBack(place, sinceMs, taken).catch((error: unknown) =>
      isManagerError(error, 'SERVER_EXITED') ? 'nothing' : 'unknown',
    );
    if (left === 'nothing' || (left === 'unseen' && (taken.back || tookMs > withdrawal.unseenMs))) return;
    await pause(withdrawal.pollMs, undefined);
  }
}

/** What is left of a summary that nobody waits for. */
async function takeBack(place: SummaryPlace, sinceMs: number, taken: { back: boolean }): Promise<'nothing' | 'unseen' | 'something'> {
  const { calls, session, id, directory } = place;
  await session.abort();
  if ((await calls.status(directory))[id] !== undefined) return 'something';
  // Where no message can be removed, a summary that failed is not tried again.
  if (!place.removable) return 'nothing';
  const summary = await readSummary(place, sinceMs);
  if (!summary.request) return 'unseen';
  if (!failureOf(summary)) return 'nothing';
  // The request last: by it the answer is found.
  for (const message of [summary.answer, summary.request]) {
    if (message) await session.deleteMessage(message.info.id);
  }
  taken.back = true;
  // It may have begun while it was taken back.
  return 'something';
}

function assertMade(summary: Summary): void {
  const failure = failureOf(summary);
  if (failure) throw failure;
}

function failureOf({ answer }: Summary): OpencodeManagerError | undefined {
  if (!answer) return new OpencodeManagerError('TURN_INTERRUPTED', 'The summary was not made: the model was not asked for it.');
  const { error, finish } = answer.info as AssistantMessage;
  const details = { answerId: answer.info.id };
  if (error) {
    const message = `The summary failed with ${error.name}: ${error.message}`;
    return new OpencodeManagerError(codeOfTurnError(error), message, { details: { ...error, ...details } });
  }
  const hasText = answer.parts.some((part) => part.type === 'text' && part.text.trim() !== '');
  const { code, note = '' } = judgeFinish({ finish, hasText, hasToolResult: false, kind: 'prompt', emptyAnswer: 'refuse' });
  return code && new OpencodeManagerError(code, `The summary failed. ${note}`, { details: { finish, ...details } });
}
