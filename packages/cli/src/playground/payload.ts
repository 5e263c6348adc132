import type { ServerEvent, ServerEventData, ServerEventType } from '@opencode-manager/core/protocol';
import type { Json, RecordTag } from '@opencode-manager/playground/trace';

export interface PayloadOptions {
  /** Prompts and model text may be shown. */
  readonly content: boolean;
  /** What an ask is about may be shown, because somebody is to answer it. */
  readonly asks: boolean;
}

type Tellers = { readonly [Type in ServerEventType]?: (data: ServerEventData[Type], options: PayloadOptions) => Json };

/** What is told of each event. By default no text that a user or a model wrote is among it. */
const tellers: Tellers = {
  'session.created': ({ session }) => ({ parent: session.parentID ?? null }),
  'session.updated': ({ session }, { content }) => (content ? { title: session.title } : {}),
  'session.status': ({ status }) =>
    status.type === 'retry'
      ? { status: 'retry', attempt: status.attempt, next: status.next, message: status.message }
      : { status: status.type },
  'session.error': ({ error }, { content }) => ({ error: errorOf(error, content) }),
  'message.updated': ({ message }, { content }) => ({
    id: message.id,
    role: message.role,
    ...(message.role === 'assistant' && {
      finish: message.finish ?? null,
      completed: message.time.completed !== undefined,
      tokens: { input: message.tokens.input, output: message.tokens.output },
      ...(message.error && { error: content ? (JSON.parse(JSON.stringify(message.error)) as Json) : { name: message.error.name } }),
    }),
  }),
  'permission.asked': ({ request }, { content, asks }) => ({
    id: request.id,
    permission: request.permission,
    patterns: content || asks ? [...request.patterns] : hidden(request.patterns.length),
  }),
  'permission.replied': ({ requestId, reply }) => ({ id: requestId, reply }),
  'question.asked': ({ request }, { content, asks }) => ({
    id: request.id,
    questions: content || asks ? request.questions.map(({ question }) => question) : hidden(request.questions.length),
  }),
  'question.replied': ({ requestId, rejected }) => ({ id: requestId, rejected }),
  'todo.updated': ({ todos }) => ({ todos: todos.length }),
  'session.diff': ({ files }) => ({ files: files.length }),
};

/** The payload of an event as a page may see it. */
export function payloadOf(event: ServerEvent, options: PayloadOptions): Json {
  const tell = tellers[event.type] as ((data: unknown, options: PayloadOptions) => Json) | undefined;
  return tell?.(event.data, options) ?? {};
}

/** Stands in for texts that are not shown. */
function hidden(count: number): string {
  return `${count} hidden`;
}

function errorOf({ name, message, statusCode }: ServerEventData['session.error']['error'], content: boolean): Json {
  return { name, ...(content && { message }), ...(statusCode !== undefined && { statusCode }) };
}

/** What an event is besides, for filters and marks. */
export function tagsOf(event: ServerEvent): readonly RecordTag[] {
  if (event.type === 'session.error') return ['error'];
  if (event.type === 'message.updated' && event.data.message.role === 'assistant' && event.data.message.error) return ['error'];
  return /^(permission|question)\./.test(event.type) ? ['ask'] : [];
}
