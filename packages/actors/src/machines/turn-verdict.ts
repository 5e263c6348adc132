import type { ErrorCode, PermissionRule, SerializedError } from '@opencode-manager/core';
import type { TurnError, TurnProof } from '@opencode-manager/core/protocol';
import type { Outcome } from '../task/types.ts';
import type { Decision, FinishedTurn, OpenAsk, ProviderRetry, SessionLimits, Turn } from './session.types.ts';

/** An error as plain JSON: machines hold no class instances. */
export function failure(code: ErrorCode, message: string, details?: Readonly<Record<string, unknown>>): SerializedError {
  return { name: 'OpencodeManagerError', code, message, ...(details && { details }) };
}

/** Keeps the first decision: an abort that follows a timeout ends as `timed_out`, whatever the server calls it. */
export function decideOnce(turn: Turn, decision: Decision): Turn {
  return turn.decision ? turn : { ...turn, decision };
}

export const stalled = ({ stallTimeoutMs }: SessionLimits): Decision => ({
  outcome: 'stalled',
  error: failure(
    'TURN_STALLED',
    `The turn showed no sign of progress for ${stallTimeoutMs} ms while the server called it busy; raise stallTimeoutMs for slow work.`,
  ),
});

export const timedOut = ({ timeoutMs }: Turn): Decision => ({
  outcome: 'timed_out',
  error: failure('TURN_TIMEOUT', `The turn was not over after ${timeoutMs} ms; raise the task's timeoutMs or make the task smaller.`),
});

export const abortedBy = (reason: string | undefined): Decision => ({
  outcome: 'aborted',
  error: failure('TURN_ABORTED', reason ?? 'The turn was aborted by its caller.'),
});

export const ranAway = (reason: string): Decision => ({
  outcome: 'runaway',
  error: failure('TURN_RUNAWAY', `The turn was stopped as a runaway: ${reason}.`),
});

/** Names the narrowest rule that would have allowed the ask. */
export function ruleFor(ask: Pick<OpenAsk, 'permission' | 'patterns'>): PermissionRule {
  return { permission: ask.permission ?? 'question', pattern: ask.patterns?.[0] ?? '*', action: 'allow' };
}

export function inputNeeded(ask: OpenAsk, { askTimeoutMs }: SessionLimits): Decision {
  if (ask.kind === 'question') {
    return { outcome: 'needs_input', error: failure('INPUT_NEEDED', `A question was open for ${askTimeoutMs} ms and nobody answered it.`) };
  }
  const rule = ruleFor(ask);
  const message = `Nobody answered the permission request for ${rule.permission} "${rule.pattern}" within ${askTimeoutMs} ms; the rule ${JSON.stringify(rule)} would allow it.`;
  return { outcome: 'needs_input', error: failure('INPUT_NEEDED', message, { rule }), rule };
}

const quotaWords = /rate.?limit|quota|too many requests|\b429\b|usage limit|insufficient.{0,20}(credit|balance|funds)/i;

/** Whether a retry is worth waiting for; a decision when it is not. */
export function decideOnRetry(retry: ProviderRetry, atMs: number, limits: SessionLimits): Decision | null {
  const waitMs = retry.nextAtMs - atMs;
  const tooLong = waitMs > limits.maxRetryWaitMs;
  if (!tooLong && retry.attempt <= limits.maxRetries) return null;
  const reason = tooLong
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
  if (turn.kind === 'shell') return { outcome: 'succeeded', error: null };
  if (final.finish === 'tool-calls' || final.finish === undefined || final.finish === 'unknown')
    return verdictWithoutAnswer(turn, final.finish);
  if (final.empty)
    return {
      outcome: 'failed',
      error: failure('ANSWER_EMPTY', `The model ended its turn (finish "${final.finish}") without text and without a tool result.`),
    };
  return { outcome: 'succeeded', error: null };
}

function verdictWithoutAnswer({ questionRejected }: Turn, finish: string | undefined): Decision {
  if (questionRejected) {
    return {
      outcome: 'needs_input',
      error: failure('INPUT_NEEDED', 'The turn asked a question, which the policy rejected; opencode ends the turn then.'),
    };
  }
  return interrupted(`The turn ended without an answer (finish ${finish === undefined ? 'missing' : `"${finish}"`}).`);
}

const interrupted = (message: string): Decision => ({ outcome: 'interrupted', error: failure('TURN_INTERRUPTED', message) });

/** The server never showed our message; sending it again might run it twice. */
export function notAccepted({ submitError }: Turn): Decision {
  return { outcome: 'failed', error: submitError ?? failure('TURN_FAILED', 'The server did not accept the turn.') };
}

function verdictOfError(error: TurnError, turn: Turn): Decision {
  if (error.name === 'MessageAbortedError') return abortedBy('The turn was aborted from outside this pool.');
  const details = { name: error.name, ...(error.statusCode !== undefined && { statusCode: error.statusCode }) };
  if (error.statusCode === 429 || (error.name === 'APIError' && quotaWords.test(error.message))) {
    // The time that the last retry named, unless it is over and the quota still spent.
    const resetAtMs = turn.lastRetry && turn.lastRetry.nextAtMs > turn.lastAtMs ? turn.lastRetry.nextAtMs : undefined;
    return {
      outcome: 'quota_exhausted',
      error: failure('QUOTA_EXHAUSTED', error.message, details),
      ...(resetAtMs !== undefined && { resetAtMs }),
    };
  }
  return { outcome: 'failed', error: failure('TURN_FAILED', error.message, details) };
}

/** Outcomes after which the session is as good as before. */
export function leavesSessionWell(outcome: Outcome): boolean {
  return outcome === 'succeeded' || outcome === 'aborted';
}

/** The record of a turn's end: what was decided, or else what its facts say. */
export function finishTurn(turn: Turn, proof: TurnProof | null, quarantined: boolean): FinishedTurn {
  const { outcome, error, resetAtMs } = turn.decision ?? verdictOf(turn);
  return {
    taskId: turn.taskId,
    messageId: turn.messageId,
    outcome,
    proof,
    error,
    finalMessageId: turn.final?.id ?? null,
    retries: turn.retries,
    gaps: turn.gaps,
    resetAtMs: resetAtMs ?? null,
    quarantined,
  };
}
