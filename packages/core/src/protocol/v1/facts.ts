import type { ServerEvent, ServerEventType } from '../events.ts';
import type { MessageFacts, MessageHistory, PartFacts, SessionFact, StatusFacts } from '../facts.ts';
import { askOfPermission, askOfQuestion } from '../../policy/asks.ts';
import type { Message, MessageWithParts, Part, SessionStatus, ToolPart } from '../types.ts';
import { decodeTurnError } from './decode.ts';
import { exitCodeOf } from './shell-line.ts';

/** A message of the wire, in this project's words. */
export function messageFacts(message: Message): MessageFacts {
  if (message.role === 'user') return { role: 'user', id: message.id, sessionId: message.sessionID };
  const { id, sessionID, parentID, time, finish, error, providerID, modelID, tokens, cost } = message;
  return {
    role: 'assistant',
    id,
    sessionId: sessionID,
    parentId: parentID,
    completed: time.completed !== undefined,
    ...(finish !== undefined && { finish }),
    ...(error && { error: decodeTurnError(error) }),
    providerId: providerID,
    model: `${providerID}/${modelID}`,
    tokens: {
      input: tokens.input,
      output: tokens.output,
      reasoning: tokens.reasoning,
      cacheRead: tokens.cache.read,
      cacheWrite: tokens.cache.write,
    },
    costUsd: cost,
  };
}

/** A part of the wire, in this project's words. Text that the model did not say is `other`. */
export function partFacts(part: Part): PartFacts {
  const { id, messageID: messageId } = part;
  if (part.type === 'text' && !part.synthetic && !part.ignored)
    return { id, messageId, type: 'text', text: part.text, ended: part.time?.end !== undefined };
  if (part.type === 'reasoning') return { id, messageId, type: 'reasoning', text: part.text, ended: part.time.end !== undefined };
  if (part.type === 'step-start') return { id, messageId, type: 'step' };
  if (part.type === 'tool') {
    const exitCode = exitCodeOf(part);
    return {
      id,
      messageId,
      type: 'tool',
      tool: part.tool,
      ...toolState(part),
      ...(mayGoOn(part) && { mayGoOn: true }),
      ...(exitCode !== undefined && { exitCode }),
    };
  }
  return { id, messageId, type: 'other' };
}

/** opencode's own: they end with an abort, or what they have started can be ended. */
const ownTools = new Set(
  'invalid bash read glob grep list edit multiedit write patch apply_patch task webfetch websearch codesearch todowrite todoread skill question lsp batch plan_enter plan_exit'.split(
    ' ',
  ),
);

/** After an abort opencode is idle at once, and lets what another tool does go on. */
function mayGoOn({ tool, state }: ToolPart): boolean {
  if (ownTools.has(tool)) return false;
  return state.status === 'running' || (state.status === 'error' && state.metadata?.['interrupted'] === true);
}

function toolState({ state }: ToolPart): Pick<Extract<PartFacts, { type: 'tool' }>, 'status' | 'input' | 'output'> {
  const { status, input } = state;
  if (status === 'completed') return { status, input, output: state.output };
  if (status === 'error') return { status: 'failed', input, output: state.error };
  const soFar = status === 'running' ? state.metadata?.['output'] : undefined;
  return { status, input, output: typeof soFar === 'string' ? soFar : '' };
}

export function historyFacts(messages: readonly MessageWithParts[]): MessageHistory[] {
  return messages.map(({ info, parts }) => ({ message: messageFacts(info), parts: parts.map(partFacts) }));
}

/** Sessions that are not idle. */
export function statusFacts(status: Readonly<Record<string, SessionStatus>>): StatusFacts {
  const facts: Record<string, StatusFacts[string]> = {};
  for (const [id, one] of Object.entries(status)) {
    if (one.type === 'busy') facts[id] = 'busy';
    else if (one.type === 'retry') facts[id] = { attempt: one.attempt, message: one.message, nextAtMs: one.next };
  }
  return facts;
}

type EventOf<Type extends ServerEventType> = Extract<ServerEvent, { type: Type }>;
type Translators = { readonly [Type in ServerEventType]?: (event: EventOf<Type>, directory: string) => SessionFact };

const idle: SessionFact = { type: 'session.idle' };
const busy: SessionFact = { type: 'session.busy' };
const deleted: SessionFact = { type: 'session.deleted' };

const translators: Translators = {
  'session.deleted': () => deleted,
  'session.status': ({ data: { status } }) => {
    if (status.type === 'retry')
      return { type: 'session.retrying', retry: { attempt: status.attempt, message: status.message, nextAtMs: status.next } };
    return status.type === 'busy' ? busy : idle;
  },
  'session.idle': () => idle,
  'session.error': ({ data: { error } }) => ({ type: 'session.errored', error }),
  'message.updated': ({ data: { message } }) => ({ type: 'message', message: messageFacts(message) }),
  'part.updated': ({ data: { part } }) => ({ type: 'part', part: partFacts(part) }),
  'part.delta': ({ data: { messageId, partId, field, delta } }) => ({ type: 'delta', messageId, partId, field, delta }),
  'permission.asked': ({ data: { request } }, directory) => ({ type: 'ask.opened', ask: askOfPermission(request, directory) }),
  'permission.replied': ({ data: { requestId, reply } }) => ({
    type: 'ask.closed',
    askId: requestId,
    answer: reply === 'reject' ? 'denied' : 'allowed',
  }),
  'question.asked': ({ data: { request } }, directory) => ({ type: 'ask.opened', ask: askOfQuestion(request, directory) }),
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
