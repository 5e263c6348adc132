import type { ServerEvent, ServerEventType } from './events.ts';
import type { AskFacts, MessageFacts, MessageHistory, PartFacts, ProviderRetry, SessionFact, StatusFacts } from './facts.ts';
import type { Message, MessageWithParts, Part } from './messages.ts';
import type { PermissionRequest, QuestionRequest, SessionStatus } from './sessions.ts';

// What is kept of a turn while it runs are facts: a record of the wire, which may be large, is not held by them.

/** What a message says about its turn. */
export function messageFacts(message: Message): MessageFacts {
  const { role, id, sessionId } = message;
  if (role === 'user') return { role, id, sessionId };
  const { parentId, completed, finish, error, providerId, model, tokens, costUsd, continues } = message;
  return {
    role,
    id,
    sessionId,
    parentId,
    completed,
    ...(finish !== undefined && { finish }),
    ...(error && { error }),
    ...(continues !== undefined && { continues }),
    providerId,
    model,
    tokens,
    costUsd,
  };
}

/** What a part says about its turn. Text that neither the user nor the model said is `other`. */
export function partFacts(part: Part): PartFacts {
  const { id, messageId, type } = part;
  if ((type === 'text' && !part.synthetic) || type === 'reasoning') return { id, messageId, type, text: part.text, ended: part.ended };
  if (type === 'step') return { id, messageId, type };
  if (type !== 'tool') return { id, messageId, type: 'other' };
  const { tool, status, input, output, mayGoOn, exitCode } = part;
  return {
    id,
    messageId,
    type,
    tool,
    status,
    input,
    output,
    ...(mayGoOn && { mayGoOn }),
    ...(exitCode !== undefined && { exitCode }),
  };
}

export function historyFacts(messages: readonly MessageWithParts[]): MessageHistory[] {
  return messages.map(({ info, parts }) => ({ message: messageFacts(info), parts: parts.map(partFacts) }));
}

/** An open ask as a policy sees it. */
export function askFacts({ raw: _raw, ...ask }: PermissionRequest | QuestionRequest, directory: string): AskFacts {
  return { ...ask, directory };
}

/** Sessions that are not idle. */
export function statusFacts(status: Readonly<Record<string, SessionStatus>>): StatusFacts {
  const facts: Record<string, StatusFacts[string]> = {};
  for (const [id, one] of Object.entries(status)) {
    if (one.type === 'busy') facts[id] = 'busy';
    else if (one.type === 'retry') facts[id] = retryOf(one);
  }
  return facts;
}

/** Sessions that retry say the same as their status. */
function retryOf({ attempt, message, nextAtMs }: ProviderRetry): ProviderRetry {
  return { attempt, message, nextAtMs };
}

type EventOf<Type extends ServerEventType> = Extract<ServerEvent, { type: Type }>;
type Translators = { readonly [Type in ServerEventType]?: (event: EventOf<Type>, directory: string) => SessionFact };

const idle: SessionFact = { type: 'session.idle' };
const busy: SessionFact = { type: 'session.busy' };
const deleted: SessionFact = { type: 'session.deleted' };

const translators: Translators = {
  'session.deleted': () => deleted,
  'session.status': ({ data: { status } }) => {
    if (status.type === 'retry') return { type: 'session.retrying', retry: retryOf(status) };
    return status.type === 'busy' ? busy : idle;
  },
  'session.idle': () => idle,
  'session.error': ({ data: { error } }) => ({ type: 'session.errored', error }),
  'message.updated': ({ data: { message } }) => ({ type: 'message', message: messageFacts(message) }),
  'part.updated': ({ data: { part } }) => ({ type: 'part', part: partFacts(part) }),
  'part.delta': ({ data: { messageId, partId, field, delta } }) => ({ type: 'delta', messageId, partId, field, delta }),
  'permission.asked': ({ data: { request } }, directory) => ({ type: 'ask.opened', ask: askFacts(request, directory) }),
  'permission.replied': ({ data: { requestId, reply } }) => ({
    type: 'ask.closed',
    askId: requestId,
    answer: reply === 'reject' ? 'denied' : 'allowed',
  }),
  'question.asked': ({ data: { request } }, directory) => ({ type: 'ask.opened', ask: askFacts(request, directory) }),
  'question.replied': ({ data: { requestId, rejected } }) => ({
    type: 'ask.closed',
    askId: requestId,
    answer: rejected ? 'denied' : 'answered',
  }),
};

/** The events that {@link sessionFact} translates. */
export const sessionFactTypes = Object.keys(translators) as readonly ServerEventType[];

/** What an event says about its session; undefined when that concerns no turn. `directory` stands in where the event names none. */
export function sessionFact(event: ServerEvent, directory: string): SessionFact | undefined {
  const translate = translators[event.type] as ((event: ServerEvent, directory: string) => SessionFact) | undefined;
  return translate?.(event, event.directory ?? directory);
}
