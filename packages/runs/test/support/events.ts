import type { AttemptEnded, JournalEvent } from '../../src/index.ts';

export function added(key: string): JournalEvent {
  return { type: 'task.added', key, hash: `ocm-task-v1:${'0'.repeat(64)}`, after: [], retries: 0 };
}

/** The end of an attempt, with a result that has all fields which must be there. */
export function ended(key: string, attempt: number, fields: Partial<AttemptEnded> = {}): AttemptEnded {
  const outcome = fields.outcome ?? 'succeeded';
  return {
    type: 'attempt.ended',
    key,
    attempt,
    token: `${key}-${attempt}`,
    outcome,
    counts: 'task',
    final: true,
    billed: true,
    error: null,
    result: {
      schema_version: 1,
      id: key,
      outcome,
      attempt,
      session_id: `ses_${key}`,
      message_id: `msg_${key}`,
      directory: '/work',
      model: 'local/test',
      output: `Answer of ${key}.`,
      finish: 'stop',
      usage: { input_tokens: 1, output_tokens: 2, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 },
      cost_usd: 0.01,
      duration_ms: 5,
      queued_ms: 1,
      proof: null,
      asks: [],
      gaps: 0,
      retries: 0,
      model_calls: 1,
      tool_calls: 0,
      error: null,
      metadata: {},
    },
    ...fields,
  };
}
