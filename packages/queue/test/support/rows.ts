import type { AttemptEnded, JournalEvent, LeasedTask } from '@opencode-manager/runs';

export const hash = `ocm-task-v1:${'a'.repeat(64)}`;

export function addedTask(key: string): JournalEvent {
  return { type: 'task.added', key, hash, after: [], retries: 0 };
}

export function taskOf(key: string): LeasedTask {
  return { hash, task: { id: key, prompt: `Do ${key}` } };
}

export function intended(key: string, attempt: number, token: string): JournalEvent {
  return { type: 'attempt.intended', key, attempt, token, sessionId: 's', messageId: `m${token}`, directory: '/' };
}

/** A final success. */
export function succeeded(key: string, attempt: number, token: string, inputTokens = 10): AttemptEnded {
  return {
    type: 'attempt.ended',
    key,
    attempt,
    token,
    outcome: 'succeeded',
    counts: 'task',
    final: true,
    billed: true,
    error: null,
    result: {
      schema_version: 1,
      id: key,
      outcome: 'succeeded',
      attempt,
      session_id: 's',
      message_id: 'm',
      directory: '/',
      model: 'test/model',
      output: `${key} is done`,
      finish: 'stop',
      usage: { input_tokens: inputTokens, output_tokens: 5, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 },
      cost_usd: 0.5,
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
    },
  };
}
