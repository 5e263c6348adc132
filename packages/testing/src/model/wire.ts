import type { Reply } from '../script/types.ts';
import type { AnswerPlan, Delta, WireUsage } from './plan.ts';

/** What every body of one answer repeats. */
export interface AnswerIdentity {
  readonly id: string;
  readonly model: string;
  /** Seconds since the epoch. */
  readonly created: number;
}

/** An HTTP answer that is no completion. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One chunk of a streamed completion as a server-sent event. */
export function chunkEvent(identity: AnswerIdentity, delta: Delta, finish: string | null = null): string {
  return sseEvent({ ...chunkOf(identity), choices: [{ index: 0, delta, finish_reason: finish }] });
}

/** The chunk with token counts, which closes a stream that was asked for them. */
export function usageEvent(identity: AnswerIdentity, usage: WireUsage): string {
  return sseEvent({ ...chunkOf(identity), choices: [], usage });
}

export function sseEvent(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function chunkOf({ id, created, model }: AnswerIdentity) {
  return { id, object: 'chat.completion.chunk', created, model };
}

/** A whole completion, for requests that asked for no stream. */
export function completionBody({ id, created, model }: AnswerIdentity, { pieces, finish, usage }: AnswerPlan, finished: boolean): string {
  const content = pieces.map(({ delta }) => delta.content ?? '').join('');
  const reasoning = pieces.map(({ delta }) => delta.reasoning_content ?? '').join('');
  const toolCalls = pieces.flatMap(({ delta }) => delta.tool_calls ?? []).map(({ index: _index, ...call }) => call);
  const message = {
    role: 'assistant',
    content: content === '' && toolCalls.length > 0 ? null : content,
    ...(reasoning !== '' && { reasoning_content: reasoning }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
  };
  const choices = [{ index: 0, message, finish_reason: finished ? finish : null }];
  return JSON.stringify({ id, object: 'chat.completion', created, model, choices, usage });
}

/** An error as OpenAI writes it, unless the reply brings a body of its own. */
export function errorAnswer(error: NonNullable<Reply['error']>): ErrorAnswer {
  const { status, message = defaultMessage(status), type = defaultType(status), code = null } = error;
  const standard = { error: { message, type, param: null, code } };
  return {
    status,
    headers: {
      'content-type': error.contentType ?? 'application/json',
      ...(error.retryAfterSeconds !== undefined && { 'retry-after': String(error.retryAfterSeconds) }),
      ...(error.retryAfterMs !== undefined && { 'retry-after-ms': String(error.retryAfterMs) }),
    },
    body: typeof error.body === 'string' ? error.body : JSON.stringify(error.body ?? standard),
  };
}

function defaultMessage(status: number): string {
  if (status === 429) return 'Rate limit reached for requests';
  if (status === 401) return 'Incorrect API key provided';
  return status >= 500 ? 'The server had an error while processing your request' : 'The request was refused';
}

function defaultType(status: number): string {
  if (status === 429) return 'rate_limit_error';
  if (status === 401) return 'authentication_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** What OpenAI answers when a conversation is longer than the model's context. */
export function contextOverflowAnswer(limit: number, tokens: number): ErrorAnswer {
  const message = `This model's maximum context length is ${limit} tokens. However, your messages resulted in ${Math.max(tokens, limit + 1)} tokens. Please reduce the length of the messages.`;
  return errorAnswer({ status: 400, message, code: 'context_length_exceeded' });
}
