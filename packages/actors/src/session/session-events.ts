import type { AskFacts, MessageFacts, ProviderRetry, SessionFact } from '@opencode-manager/core/protocol';
import type { SessionMachineEvent, TurnFact } from '../machines/index.ts';
import type { AnsweredAsk } from '../task/types.ts';
import type { TurnObserver } from './turn-observer.ts';

/** What the translation of facts needs of a session's host. */
export interface EventSink {
  readonly id: string;
  readonly messageId: string | undefined;
  readonly observer: TurnObserver | undefined;
  tell(fact: TurnFact): void;
  send(event: SessionMachineEvent): void;
  childStatus(sessionId: string, busy: boolean, atMs: number): void;
  accepted(atMs: number): void;
  progress(): void;
  checkRunaway(): void;
  retrying(retry: ProviderRetry): void;
  askOpened(ask: AskFacts, atMs: number): void;
  askReplied(id: string, answer: AnsweredAsk['answer']): void;
}

type FactOf<Type extends SessionFact['type']> = Extract<SessionFact, { type: Type }>;
type Translators = {
  readonly [Type in SessionFact['type']]: (sink: EventSink, sessionId: string, fact: FactOf<Type>, atMs: number) => void;
};

const translators: Translators = {
  'session.deleted': (sink, sessionId, _fact, atMs) =>
    isRoot(sink, sessionId) ? sink.send({ type: 'session.deleted' }) : sink.childStatus(sessionId, false, atMs),
  'session.busy': (sink, sessionId, _fact, atMs) =>
    isRoot(sink, sessionId) ? sink.tell({ type: 'session.busy', atMs }) : sink.childStatus(sessionId, true, atMs),
  'session.idle': (sink, sessionId, _fact, atMs) =>
    isRoot(sink, sessionId) ? sink.tell({ type: 'session.idle', atMs }) : sink.childStatus(sessionId, false, atMs),
  'session.retrying': (sink, sessionId, { retry }, atMs) => {
    sink.retrying(retry);
    if (isRoot(sink, sessionId)) sink.tell({ type: 'session.retrying', retry, atMs });
    else sink.childStatus(sessionId, true, atMs);
  },
  'session.errored': (sink, sessionId, { error }, atMs) => {
    if (isRoot(sink, sessionId)) sink.tell({ type: 'session.errored', error, atMs });
  },
  message: (sink, sessionId, { message }, atMs) => translateMessage(sink, isRoot(sink, sessionId), message, atMs),
  part: (sink, _sessionId, { part }) => {
    sink.observer?.part(part);
    sink.progress();
    if (part.type === 'tool') sink.checkRunaway();
  },
  delta: (sink, _sessionId, { messageId, partId, field, delta }) => {
    sink.observer?.delta(messageId, partId, field, delta);
    sink.progress();
  },
  'ask.opened': (sink, _sessionId, { ask }, atMs) => sink.askOpened(ask, atMs),
  'ask.closed': (sink, _sessionId, { askId, answer }) => sink.askReplied(askId, answer),
};

/** Tells the machine what one fact of a session (or of a sub-agent of it) says; hot data goes to the observer and no further. */
export function translateFact(sink: EventSink, sessionId: string, fact: SessionFact, atMs: number): void {
  const translate = translators[fact.type] as (sink: EventSink, sessionId: string, fact: SessionFact, atMs: number) => void;
  translate(sink, sessionId, fact, atMs);
}

function isRoot(sink: EventSink, sessionId: string): boolean {
  return sessionId === sink.id;
}

function translateMessage(sink: EventSink, root: boolean, message: MessageFacts, atMs: number): void {
  const { observer } = sink;
  if (!observer) return;
  if (message.id === sink.messageId) sink.accepted(atMs);
  const { started, finalised } = observer.message(message, root);
  if (started !== undefined) sink.tell({ type: 'message.started', id: started, atMs });
  if (finalised) sink.tell({ type: 'message.finalised', message: finalised, atMs });
  if (finalised) sink.checkRunaway();
  sink.progress();
}
