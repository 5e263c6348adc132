import type { TurnRequest } from '@opencode-manager/core';
import { toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import { isServerLoss } from '../session/failures.ts';
import type { TurnReport } from '../session/turn-in-flight.ts';
import type { LiveTask } from './live-task.ts';
import { addSpent, spentIn } from './spent.ts';
import type { AnswerVerdict, Outcome } from './types.ts';

/** How an attempt ends whose last turn is over. */
export interface TurnEnd {
  readonly outcome: Outcome;
  readonly error: SerializedError | null;
}

/** A verdict in the terms of the attempt: one more prompt, or how it ends; null when it ends as its turn did. */
export type TurnVerdict = null | { readonly prompt: string } | TurnEnd;

/** Asks whoever judges the answers of a task what becomes of it. One that cannot say fails the task; an abort meanwhile waits for none. */
export async function verdictOn({ id, onAnswer, turns, calls }: LiveTask, report: TurnReport): Promise<TurnVerdict> {
  const { outcome, messageId } = report.finished;
  if (outcome !== 'succeeded' || !onAnswer) return null;
  const spent = turns.reduce((sum, turn) => addSpent(sum, spentIn(turn)), spentIn(report));
  const signal = calls?.signal;
  const aborted = Promise.withResolvers<TurnEnd>();
  const onAbort = (): void => aborted.resolve({ outcome: 'aborted', error: toManagerError(signal!.reason).toJSON() });
  // The judge itself may abort the task, at once.
  signal?.addEventListener('abort', onAbort, { once: true });
  const judged = onAnswer({ taskId: id, messageId, output: report.summary.output, spent }).then(endOf, (error: unknown): TurnEnd => ({
    outcome: 'failed',
    error: toManagerError(error).toJSON(),
  }));
  try {
    return await Promise.race([judged, aborted.promise]);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

function endOf(verdict: AnswerVerdict): TurnVerdict {
  return verdict && 'error' in verdict ? { outcome: 'failed', error: verdict.error } : verdict;
}

/** A prompt that goes on where a turn has ended: with its choices of model, agent and system prompt. */
export function furtherRequest(request: TurnRequest, text: string, messageId: string): TurnRequest {
  const { model, agent } = request;
  const system = request.kind === 'prompt' ? request.system : undefined;
  return {
    kind: 'prompt',
    messageId,
    parts: [{ type: 'text', text }],
    ...(model !== undefined && { model }),
    ...(agent !== undefined && { agent }),
    ...(system !== undefined && { system }),
  };
}

/** The end of an attempt whose further prompt did not go out. Of what was lost with its server, the last turn that was sent is read again. */
export function unsentEnd(error: unknown, signal: AbortSignal | undefined): TurnEnd {
  if (signal?.aborted) return { outcome: 'aborted', error: toManagerError(signal.reason).toJSON() };
  const told = toManagerError(error).toJSON();
  const lost: TurnEnd = { outcome: 'interrupted', error: told };
  return isServerLoss(lost) ? lost : { outcome: 'failed', error: told };
}
