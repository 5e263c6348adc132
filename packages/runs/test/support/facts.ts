import type { Outcome, TaskResult } from '@opencode-manager/actors';
import type { SerializedError } from '@opencode-manager/core/errors';
import type { AttemptEnded, JournalEvent, JournalRow } from '../../src/journal/events.ts';
import type { SourceTask } from '../../src/machine/index.ts';

/** A task of a source. */
export function task(key: string, more: Partial<SourceTask> = {}): SourceTask {
  return { key, hash: `ocm-task-v1:${key}`, after: [], retries: 0, ...more };
}

export function errorOf(code: SerializedError['code'], message = 'It went wrong.'): SerializedError {
  return { name: 'OpencodeManagerError', code, message };
}

export function resultOf(id: string, outcome: Outcome, more: Partial<TaskResult> = {}): TaskResult {
  return {
    schema_version: 1,
    id,
    outcome,
    attempt: 1,
    session_id: `ses_${id}`,
    message_id: `msg_${id}`,
    directory: '/repo',
    model: 'test/model',
    output: 'done',
    finish: 'stop',
    usage: { input_tokens: 1, output_tokens: 1, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 },
    cost_usd: null,
    duration_ms: 1,
    queued_ms: 0,
    proof: null,
    asks: [],
    gaps: 0,
    retries: 0,
    model_calls: 1,
    tool_calls: 0,
    error: null,
    metadata: {},
    ...more,
  };
}

/** Rows of a journal that hold these events. */
export function rowsOf(events: readonly JournalEvent[]): JournalRow[] {
  return events.map((event, index) => ({ sequence: index + 1, atMs: index, event }));
}

export function added(key: string, more: Partial<SourceTask> = {}): JournalEvent {
  const { limits: _limits, ...asked } = task(key, more);
  return { type: 'task.added', ...asked };
}

export function intended(key: string, attempt = 1): JournalEvent {
  const [token, sessionId, messageId] = [`1.${attempt}`, `ses_${key}`, `msg_${key}`];
  return { type: 'attempt.intended', key, attempt, token, sessionId, messageId, directory: '/repo' };
}

export function ended(key: string, outcome: Outcome, more: Partial<AttemptEnded> = {}): JournalEvent {
  const attempt = more.attempt ?? 1;
  const end = { type: 'attempt.ended', key, attempt, token: `1.${attempt}`, outcome, counts: 'task', final: true } as const;
  return { ...end, billed: true, error: null, result: resultOf(key, outcome), ...more };
}
