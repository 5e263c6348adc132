import type { MonitorEvent } from '@opencode-manager/events';
import type { ProviderRetry, SessionMachineEvent, TurnFact } from '../machines/index.ts';
import type { AnsweredAsk, Ask } from '../task/types.ts';
import type { TurnObserver } from './turn-observer.ts';

/** What the translation of events needs of a session's host. */
export interface EventSink {
  readonly id: string;
  readonly directory: string;
  readonly messageId: string | undefined;
  readonly observer: TurnObserver | undefined;
  tell(fact: TurnFact): void;
  send(event: SessionMachineEvent): void;
  adoptChild(sessionId: string): void;
  childStatus(sessionId: string, busy: boolean, atMs: number): void;
  accepted(atMs: number): void;
  progress(): void;
  checkRunaway(): void;
  retrying(retry: ProviderRetry): void;
  askOpened(ask: Omit<Ask, 'taskId'>, directory: string, atMs: number): void;
  askReplied(id: string, answer: AnsweredAsk['answer']): void;
}

type EventOf<Type extends MonitorEvent['type']> = Extract<MonitorEvent, { type: Type }>;
type Translators = { readonly [Type in MonitorEvent['type']]?: (sink: EventSink, event: EventOf<Type>, atMs: number) => void };

const translators: Translators = {
  'stream.gap': (sink) => sink.send({ type: 'stream.gap' }),
  'stream.live': (sink) => sink.send({ type: 'stream.live' }),
  'session.created': (sink, { data: { session } }) => {
    if (session.parentID !== undefined) sink.adoptChild(session.id);
  },
  'session.deleted': (sink, { sessionId }, atMs) =>
    isRoot(sink, sessionId) ? sink.send({ type: 'session.deleted' }) : sink.childStatus(sessionId!, false, atMs),
  'session.status': translateStatus,
  'session.idle': (sink, { sessionId }, atMs) =>
    isRoot(sink, sessionId) ? sink.tell({ type: 'session.idle', atMs }) : sink.childStatus(sessionId!, false, atMs),
  'session.error': (sink, { sessionId, data: { error } }, atMs) => {
    if (isRoot(sink, sessionId)) sink.tell({ type: 'session.errored', error, atMs });
  },
  'message.updated': translateMessage,
  'part.updated': (sink, { data: { part } }) => {
    sink.observer?.part(part);
    sink.progress();
    if (part.type === 'tool') sink.checkRunaway();
  },
  'part.delta': (sink, { data }) => {
    sink.observer?.delta(data.messageId, data.partId, data.field, data.delta);
    sink.progress();
  },
  'permission.asked': (sink, { directory, data: { request } }, atMs) => {
    const { id, sessionID, permission, patterns } = request;
    sink.askOpened({ kind: 'permission', id, sessionId: sessionID, permission, patterns }, directory ?? sink.directory, atMs);
  },
  'permission.replied': (sink, { data: { requestId, reply } }) => sink.askReplied(requestId, reply === 'reject' ? 'denied' : 'allowed'),
  'question.asked': (sink, { directory, data: { request } }, atMs) => {
    const questions = request.questions.map(({ question, options }) => ({ question, options: options.map(({ label }) => label) }));
    sink.askOpened({ kind: 'question', id: request.id, sessionId: request.sessionID, questions }, directory ?? sink.directory, atMs);
  },
  'question.replied': (sink, { data: { requestId, rejected } }) => sink.askReplied(requestId, rejected ? 'denied' : 'answered'),
};

/** Turns one event of a session (or of a sub-agent of it) into facts; hot data goes to the observer and no further. */
export function translateEvent(sink: EventSink, event: MonitorEvent, atMs: number): void {
  const translate = translators[event.type] as ((sink: EventSink, event: MonitorEvent, atMs: number) => void) | undefined;
  translate?.(sink, event, atMs);
}

function isRoot(sink: EventSink, sessionId: string | undefined): boolean {
  return sessionId === sink.id;
}

function translateStatus(sink: EventSink, { sessionId, data: { status } }: EventOf<'session.status'>, atMs: number): void {
  const retry = status.type === 'retry' && { attempt: status.attempt, message: status.message, nextAtMs: status.next };
  if (retry) sink.retrying(retry);
  if (!isRoot(sink, sessionId)) return sink.childStatus(sessionId!, status.type !== 'idle', atMs);
  if (status.type === 'busy') return sink.tell({ type: 'session.busy', atMs });
  if (status.type === 'idle') return sink.tell({ type: 'session.idle', atMs });
  if (retry) sink.tell({ type: 'session.retrying', retry, atMs });
}

function translateMessage(sink: EventSink, { sessionId, data: { message } }: EventOf<'message.updated'>, atMs: number): void {
  const { observer } = sink;
  if (!observer) return;
  if (message.id === sink.messageId) sink.accepted(atMs);
  const { started, finalised } = observer.message(message, isRoot(sink, sessionId));
  if (started !== undefined) sink.tell({ type: 'message.started', id: started, atMs });
  if (finalised) sink.tell({ type: 'message.finalised', message: finalised, atMs });
  if (finalised) sink.checkRunaway();
  sink.progress();
}
