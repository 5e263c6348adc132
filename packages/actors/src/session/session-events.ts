import { beginsTurn } from '@opencode-manager/core/protocol';
import type { AskFacts, MessageFacts, ProviderRetry, SessionFact } from '@opencode-manager/core/protocol';
import type { SessionMachineEvent, TurnSpent } from '../machines/index.ts';
import type { AnsweredAsk } from '../task/types.ts';
import { openAskOf } from './turn-reader.ts';
import type { TurnObserver } from './turn-observer.ts';

/** What the translation of facts needs of a session's host. */
export interface EventSink {
  readonly id: string;
  /** Of the turn in flight. */
  readonly turn: { readonly messageId: string; readonly observer: TurnObserver } | undefined;
  send(event: SessionMachineEvent): void;
  /** The turn showed activity. */
  onActivity(): void;
  onRetry(retry: ProviderRetry, providerId: string | null): void;
  /** The turn in flight has taken so much. */
  onSpent(spent: TurnSpent): void;
  onAsk(ask: AskFacts): void;
  onReply(askId: string, answer: AnsweredAsk['answer']): void;
}

type FactOf<Type extends SessionFact['type']> = Extract<SessionFact, { type: Type }>;
interface Told {
  readonly sessionId: string;
  readonly isRoot: boolean;
  readonly atMs: number;
}
type Translators = { readonly [Type in SessionFact['type']]: (sink: EventSink, fact: FactOf<Type>, told: Told) => void };

const translators: Translators = {
  'session.deleted': (sink, _fact, { isRoot, sessionId, atMs }) =>
    sink.send(isRoot ? { type: 'session.deleted' } : { type: 'child.deleted', sessionId, atMs }),
  'session.busy': (sink, _fact, { isRoot, sessionId, atMs }) => {
    sink.turn?.observer.status(sessionId, 'busy', atMs);
    sink.send(isRoot ? { type: 'session.busy', atMs } : { type: 'child.busy', sessionId, atMs });
    tellSpent(sink);
  },
  'session.idle': (sink, _fact, { isRoot, sessionId, atMs }) =>
    sink.send(isRoot ? { type: 'session.idle', atMs } : { type: 'child.quiet', sessionId, atMs }),
  'session.retrying': (sink, { retry }, { isRoot, sessionId, atMs }) => {
    sink.turn?.observer.status(sessionId, retry, atMs);
    sink.onRetry(retry, sink.turn?.observer.providerOf(sessionId) ?? null);
    sink.send(isRoot ? { type: 'session.retrying', retry, atMs } : { type: 'child.busy', sessionId, atMs });
    // A call that fails is a step, too.
    tellSpent(sink);
  },
  'session.errored': (sink, { error }, { isRoot, atMs }) => {
    if (isRoot) sink.send({ type: 'session.errored', error, atMs });
  },
  message: translateMessage,
  part: (sink, { part }) => {
    const observer = sink.turn?.observer;
    if (!observer) return;
    observer.part(part);
    tellExcess(sink, observer);
    if (part.type === 'step') tellSpent(sink);
    if (part.type === 'tool' && observer.loop.repetitions > 1) sink.send({ type: 'loop.seen', loop: observer.loop });
    sink.onActivity();
  },
  delta: (sink, { messageId, partId, field, delta }) => {
    const observer = sink.turn?.observer;
    if (!observer) return;
    observer.delta(messageId, partId, field, delta);
    tellExcess(sink, observer);
    sink.onActivity();
  },
  'ask.opened': (sink, { ask }, { atMs }) => {
    sink.onAsk(ask);
    sink.send({ type: 'ask.opened', ask: openAskOf(ask), atMs });
  },
  'ask.closed': (sink, { askId, answer }) => sink.onReply(askId, answer),
};

/** Tells the machine what one fact of a session (or of a sub-agent of it) says; hot data goes to the observer and no further. */
export function translateFact(sink: EventSink, sessionId: string, fact: SessionFact, atMs: number): void {
  const translate = translators[fact.type] as (sink: EventSink, fact: SessionFact, told: Told) => void;
  translate(sink, fact, { sessionId, isRoot: sessionId === sink.id, atMs });
}

/** Deltas stay outside the machine: it hears of their sum, once, when that is more than a turn may say. */
export function tellExcess(sink: Pick<EventSink, 'send'>, observer: TurnObserver): void {
  const bytes = observer.takeExcess();
  if (bytes !== undefined) sink.send({ type: 'answer.oversized', bytes });
}

/** With each step that begins, ends or fails; after the fact that tells of it. */
export function tellSpent(sink: Pick<EventSink, 'turn' | 'send' | 'onSpent'>): void {
  const spent = sink.turn?.observer.takeSpent();
  if (!spent) return;
  sink.send({ type: 'usage.seen', spent });
  sink.onSpent(spent);
}

function translateMessage(sink: EventSink, { message }: { readonly message: MessageFacts }, { isRoot, atMs }: Told): void {
  const { turn } = sink;
  if (!turn) return;
  if (isRoot && beginsTurn(message, turn.messageId)) sink.send({ type: 'turn.accepted', source: 'events', atMs });
  const { started, finalised } = turn.observer.message(message, isRoot);
  if (started !== undefined) sink.send({ type: 'message.started', ...started, atMs });
  if (finalised) sink.send({ type: 'message.finalised', message: finalised, atMs });
  tellSpent(sink);
  if (finalised && turn.observer.loop.emptySteps > 0) sink.send({ type: 'loop.seen', loop: turn.observer.loop });
  sink.onActivity();
}
