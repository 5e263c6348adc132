import type { TaskResult } from '@opencode-manager/actors';
import type { SerializedError } from '@opencode-manager/core/errors';
import type { AttemptEnded } from '../journal/events.ts';
import { failure } from './failure.ts';
import { defaultRunSettings } from './run.machine.ts';
import type { OpenAttempt, TaskRecord } from './task-record.ts';

/** Whether nothing more is done for a task, unless a user asks for it. */
export function isSettled({ end, open, isCancelled, blockedBy, isDropped }: TaskRecord): boolean {
  if (isDropped || blockedBy !== null) return true;
  return open === null && (isCancelled || end?.final === true);
}

/**
 * The end of an attempt whose host lost its lease: killed, frozen or cut off. It takes of the tries of the infrastructure, and ends the task when
 * these are spent. Its session lies on that host, so nobody can read what it has done. Undefined when no attempt was in flight.
 */
export function lostAttempt(record: TaskRecord, tries = defaultRunSettings.infrastructureTries): AttemptEnded | undefined {
  const { open, key, isCancelled } = record;
  if (!open) return undefined;
  const lost = record.infrastructureTries + 1;
  const { attempt, token } = open;
  const message = `The host of attempt ${attempt} of ${key} lost its lease: it was killed, frozen or cut off from the queue.`;
  const error = failure('LEASE_LOST', message, { details: { key, attempt, token } });
  return {
    type: 'attempt.ended',
    key,
    attempt,
    token,
    outcome: 'interrupted',
    counts: 'infrastructure',
    final: lost > tries || isCancelled,
    // Its prompt may have gone out; nobody knows.
    billed: true,
    error,
    result: { ...unknownResult(key, open), error },
  };
}

/**
 * The end of an attempt that no host there is can begin: none gets the repository, or sees the directory. Nothing was sent. It takes of the tries of
 * the infrastructure, so that a run whose hosts lack something ends, and says what.
 */
export function unableAttempt(
  record: TaskRecord,
  { token, error }: { readonly token: number; readonly error: SerializedError },
  tries = defaultRunSettings.infrastructureTries,
): AttemptEnded {
  const { key, isCancelled } = record;
  const attempt = record.attempts + 1;
  return {
    type: 'attempt.ended',
    key,
    attempt,
    token: `${token}.${attempt}`,
    outcome: 'interrupted',
    counts: 'infrastructure',
    final: record.infrastructureTries + 1 > tries || isCancelled,
    billed: false,
    error,
    result: { ...unknownResult(key, { attempt, sessionId: null, messageId: null, directory: '' }), cost_usd: 0, error },
  };
}

interface Begun extends Pick<OpenAttempt, 'attempt' | 'directory'> {
  readonly sessionId: string | null;
  readonly messageId: string | null;
}

function unknownResult(key: string, { attempt, sessionId, messageId, directory }: Begun): TaskResult {
  return {
    schema_version: 1,
    id: key,
    outcome: 'interrupted',
    attempt,
    session_id: sessionId,
    message_id: messageId,
    directory,
    model: null,
    output: '',
    finish: null,
    usage: { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 },
    // What it has cost is not known here; the row of its late end says so, if it ever comes.
    cost_usd: null,
    duration_ms: 0,
    queued_ms: 0,
    proof: null,
    asks: [],
    gaps: 0,
    retries: 0,
    model_calls: 0,
    tool_calls: 0,
    error: null,
    metadata: {},
  };
}
