import type { ErrorCode, SerializedError } from '@opencode-manager/core';
import { rulesFor } from '@opencode-manager/core/policy';
import { judgeFinish, type TurnError, type TurnProof } from '@opencode-manager/core/protocol';
import type { Outcome } from '../task/types.ts';
import type { Decision, FinalMessage, FinishedTurn, LoopFacts, OpenAsk, ProviderRetry, SessionLimits, Turn } from './session.types.ts';

/** An error as plain JSON: machines hold no class instances. */
export function failure(code: ErrorCode, message: string, details?: Readonly<Record<string, unknown>>): SerializedError {
  return { name: 'OpencodeManagerError', code, message, ...(details && { details }) };
}

/** Keeps the first decision: an abort that follows a timeout ends as `timed_out`, whatever the server calls it. */
export function decideOnce(turn: Turn, decision: Decision): Turn {
  return turn.decision ? turn : { ...turn, decision };
}

export const abortedBy = (reason: string | undefined): Decision => ({
  outcome: 'aborted',
  error: failure('TURN_ABORTED', reason ?? 'The turn was aborted by its caller.'),
});

/** Whether a turn goes round in circles. */
export function isLoop({ emptySteps, repetitions }: LoopFacts, { runawayEmptySteps, runawayRepetitions }: SessionLimits): boolean {
  return emptySteps >= runawayEmptySteps || repetitions >= runawayRepetitions;
}

export function ranAway({ emptySteps, repetitions, period }: LoopFacts, { runawayEmptySteps }: SessionLimits): Decision {
  const calls = period === 1 ? 'identical tool calls' : `repetitions of the same ${period} tool calls`;
  const reason =
    emptySteps >= runawayEmptySteps
      ? `${emptySteps} steps in a row had neither a tool call nor an end`
      : `${repetitions} ${calls} in a row had the same results`;
  return { outcome: 'runaway', error: failure('TURN_RUNAWAY', `The turn was stopped as a runaway: ${reason}.`) };
}

export const oversized = (bytes: number, { maxAnswerBytes }: SessionLimits): Decision => ({
  outcome: 'failed',
  error: failure(
    'ANSWER_TOO_LARGE',
    `The turn was stopped: it had said ${bytes} bytes (text and reasoning), more than maxAnswerBytes (${maxAnswerBytes}). Let the model write to a file, or ask for less in one turn.`,
  ),
});

export function inputNeeded(ask: OpenAsk, { askTimeoutMs }: SessionLimits): Decision {
  if (ask.kind === 'question') {
    return { outcome: 'needs_input', error: failure('INPUT_NEEDED', `A question was open for ${askTimeoutMs} ms and nobody answered it.`) };
  }
  const rules = rulesFor(ask);
  const what = `${ask.permission} ${(ask.patterns ?? []).map((pattern) => JSON.stringify(pattern)).join(', ')}`.trim();
  const message = `Nobody answered the permission request for ${what} within ${askTimeoutMs} ms; the rules ${JSON.stringify(rules)} would allow it.`;
  return { outcome: 'needs_input', error: failure('INPUT_NEEDED', message, { rules }), rules };
}

const quotaWords = /rate.?limit|quota|too many requests|\b429\b|usage limit|insufficient.{0,20}(credit|balance|funds)/i;

/** Whether a provider's words mean that it got too many requests, or that a quota is spent. */
export function isRateLimit(message: string): boolean {
  return quotaWords.test(message);
}

/** Whether a retry is not worth waiting for. */
export function isRetryTooLong(retry: ProviderRetry, atMs: number, { maxRetryWaitMs, maxRetries }: SessionLimits): boolean {
  return retry.nextAtMs - atMs > maxRetryWaitMs || retry.attempt > maxRetries;
}

export function retryRefused(retry: ProviderRetry, atMs: number, limits: SessionLimits): Decision {
  const waitMs = Math.round(retry.nextAtMs - atMs);
  const reason =
    waitMs > limits.maxRetryWaitMs
      ? `it is to be asked again in ${waitMs} ms, longer than maxRetryWaitMs (${limits.maxRetryWaitMs})`
      : `it failed ${retry.attempt} times, more than maxRetries (${limits.maxRetries})`;
  const message = `The provider said "${retry.message}", and ${reason}.`;
  if (!quotaWords.test(retry.message)) return { outcome: 'failed', error: failure('TURN_FAILED', message) };
  return { outcome: 'quota_exhausted', error: failure('QUOTA_EXHAUSTED', message), resetAtMs: retry.nextAtMs };
}

/** Reads the outcome from what the server left of a turn that ended by itself. */
export function verdictOf(turn: Turn): Decision {
  const { final, sessionError } = turn;
  const error = final?.error ?? (final ? undefined : sessionError);
  if (error) return verdictOfError(error, turn);
  if (!final) return turn.accepted ? interrupted('The server is idle and has no finished answer to the prompt.') : notAccepted(turn);
  if (turn.questionRejected && (final.finish === undefined || final.finish === 'tool-calls')) return questionRejected;
  return verdictOfFinish(turn, final);
}

const questionRejected: Decision = {
  outcome: 'needs_input',
  error: failure('INPUT_NEEDED', 'The turn asked a question, which the policy rejected; opencode ends the turn then.'),
};

function verdictOfFinish({ kind, emptyAnswer }: Turn, { finish, hasText, hasToolResult, exitCode }: FinalMessage): Decision {
  const facts = { finish, hasText, hasToolResult, kind, emptyAnswer, ...(exitCode !== undefined && { exitCode }) };
  const { outcome, code, note } = judgeFinish(facts);
  if (code !== undefined) return { outcome, error: failure(code, note ?? code, code === 'SHELL_FAILED' ? { exitCode } : undefined) };
  return { outcome, error: null, ...(note !== undefined && { note }) };
}

const interrupted = (message: string): Decision => ({ outcome: 'interrupted', error: failure('TURN_INTERRUPTED', message) });

const unanswered = 'The server has not answered the request that carries the turn, and never showed it: it may be lost.';

/** The server never showed our message; sending it again might run it twice. */
function notAccepted({ submitError }: Turn): Decision {
  return { outcome: 'failed', error: submitError ?? failure('TURN_FAILED', unanswered) };
}

function verdictOfError(error: TurnError, turn: Turn): Decision {
  if (error.kind === 'aborted') return abortedBy('The turn was aborted from outside this pool.');
  const details = { name: error.name, ...(error.statusCode !== undefined && { statusCode: error.statusCode }) };
  if (error.statusCode === 429 || (error.kind === 'provider' && quotaWords.test(error.message))) {
    // The time that the refusal names, or the last retry did, unless that is over and the quota still spent.
    const latestMs = Math.max(0, ...turn.retries.map(({ nextAtMs }) => nextAtMs));
    const resetAtMs = error.resetAtMs ?? (latestMs > turn.lastAtMs ? latestMs : undefined);
    return {
      outcome: 'quota_exhausted',
      error: failure('QUOTA_EXHAUSTED', error.message, details),
      ...(resetAtMs !== undefined && { resetAtMs }),
    };
  }
  const code = error.kind === 'package' ? 'PACKAGE_UNAVAILABLE' : 'TURN_FAILED';
  return { outcome: 'failed', error: failure(code, error.message, details) };
}

/** Outcomes after which the session is as good as before. */
export function leavesSessionWell(outcome: Outcome): boolean {
  return outcome === 'succeeded' || outcome === 'aborted';
}

/** The record of a turn's end: what was decided, or else what its facts say. */
export function finishTurn(turn: Turn, proof: TurnProof | null, quarantined: boolean): FinishedTurn {
  const { outcome, error, resetAtMs, note } = turn.decision ?? verdictOf(turn);
  return {
    taskId: turn.taskId,
    messageId: turn.messageId,
    outcome,
    proof,
    error,
    finish: turn.final?.finish ?? null,
    notes: note === undefined ? [] : [note],
    finalMessageId: turn.final?.id ?? null,
    retries: turn.retries.length,
    gaps: turn.gaps,
    resetAtMs: resetAtMs ?? null,
    quarantined,
  };
}
