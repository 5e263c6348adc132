import type { ProviderRetry, TurnError } from '@opencode-manager/core/protocol';
import { createActor, type InspectionEvent } from 'xstate';
import {
  sessionMachine,
  statePath,
  type FinalFacts,
  type FinishedTurn,
  type OpenAsk,
  type ReadRequest,
  type SessionInput,
  type SessionMachineEvent,
  type Turn,
  type TurnBounds,
} from '../../src/machines/index.ts';
import { ManualClock } from './manual-clock.ts';

type WithoutTime<Event> = Event extends { readonly atMs: number } ? Omit<Event, 'atMs'> : Event;
export type Ask = Omit<OpenAsk, 'atMs'>;

export const rootAsk: Ask = { id: 'per_1', kind: 'permission', sessionId: 'ses_root', permission: 'bash', patterns: ['rm -r x'] };
export const childAsk: Ask = { ...rootAsk, sessionId: 'ses_child' };

/** What a read finds. By default the session is idle, and our message stands alone. */
export interface Found {
  /** The turn's newest assistant message; with `finish` or `error` it has ended. null: the history was not read. */
  readonly newest?: ({ readonly id: string; readonly ended?: boolean } & Partial<FinalFacts>) | null;
  readonly found?: boolean;
  readonly pastErrors?: readonly Pick<TurnError, 'name' | 'message'>[];
  readonly changed?: boolean;
  readonly status?: 'idle' | 'busy' | ProviderRetry;
  readonly busy?: readonly string[];
  readonly quiet?: readonly string[];
  readonly unbegun?: readonly string[];
  readonly descendants?: boolean;
  readonly asks?: readonly Ask[];
}

export interface SessionOptions extends Pick<SessionInput, 'limits' | 'streamLive'> {
  readonly inspect?: (event: InspectionEvent) => void;
  /** Answers each read a little after it is asked for; without it reads are answered by the test. */
  readonly answerRead?: () => Found | undefined;
}

/** An ended assistant message that answers `msg_10`. */
export function ended({ id, ...of }: { readonly id: string } & Partial<FinalFacts>): FinalFacts {
  return { id, parentId: 'msg_10', hasText: true, hasToolResult: false, ...of };
}

function newestOf({ id, ended: isEnded = false, ...end }: NonNullable<Found['newest']>, parentId: string) {
  const hasEnd = isEnded || end.finish !== undefined || end.error !== undefined;
  return { id, final: hasEnd ? ended({ id, parentId, ...end }) : null };
}

/** How long an answered read takes. */
const readMs = 10;

/** A session actor on a clock of its own, with its effects and its ends on record. */
export function startSession({ limits, inspect, streamLive = true, answerRead }: SessionOptions = {}) {
  const clock = new ManualClock();
  const effects: string[] = [];
  const requests: ReadRequest[] = [];
  const answered: (readonly string[])[] = [];
  const finished: FinishedTurn[] = [];
  let activeAtMs = clock.now();
  const machine = sessionMachine.provide({
    actions: {
      submitTurn: () => void effects.push('submit'),
      requestAbort: () => void effects.push('abort'),
      requestSnapshot: (_, request) => {
        effects.push('read');
        requests.push(request);
        const found = answerRead?.();
        if (found) clock.setTimeout(() => session.read(found), readMs);
      },
      answerAsks: (_, { ids }) => void (ids.length > 0 && answered.push(ids)),
      abortChildren: (_, { ids }) => void (ids.length > 0 && effects.push('abortChildren')),
      endTools: () => void effects.push('endTools'),
      lookForProgress: () => session.send({ type: 'progress', agoMs: clock.now() - activeAtMs }),
    },
  });
  const input = { sessionId: 'ses_root', directory: '/work', streamLive, atMs: clock.now(), ...(limits && { limits }) };
  const actor = createActor(machine, { input, clock, ...(inspect && { inspect }) });
  actor.on('turn.finished', ({ turn }) => finished.push(turn));
  actor.subscribe({ error: () => {} });
  actor.start();

  const session = {
    actor,
    clock,
    effects,
    /** What the reads were to look at. */
    requests,
    /** The ids that the machine gave to be answered. */
    answered,
    finished,
    send(event: WithoutTime<SessionMachineEvent>): void {
      if (event.type.startsWith('message.')) activeAtMs = clock.now();
      if (actor.getSnapshot().status === 'active') actor.send({ atMs: clock.now(), ...event } as SessionMachineEvent);
    },
    /** Lets time pass. Two facts never have the same time, so each step of a test takes some. */
    pass: (ms = 1) => clock.pass(ms),
    /** Something was heard that does not reach the machine, such as a delta. */
    hear: () => void (activeAtMs = clock.now()),
    submit: (id = 1, kind: Turn['kind'] = 'prompt', { timeoutMs = null, bounds, emptyAnswer }: TurnOptions = {}) =>
      session.send({
        type: 'turn.submit',
        taskId: `t${id}`,
        messageId: `msg_${id}0`,
        kind,
        timeoutMs,
        ...(bounds && { limits: bounds }),
        ...(emptyAnswer && { emptyAnswer }),
      }),
    /** The state as one path, for example `active.running`. */
    get path(): string {
      return statePath(actor.getSnapshot().value);
    },
    get turn(): Turn | null {
      return actor.getSnapshot().context.turn;
    },
    /** A read that is asked for now; what it finds is told when its result is called. Status and asks are asked for after the history. */
    beginRead(): (found?: Found) => void {
      session.pass();
      const messageId = session.turn?.messageId ?? '';
      const sinceMs = clock.now();
      session.pass();
      const thenMs = clock.now();
      return ({
        newest,
        found = true,
        pastErrors = [],
        changed = false,
        status = 'idle',
        busy = [],
        quiet = [],
        unbegun = [],
        descendants = true,
        asks = [],
      } = {}) => {
        if (changed) activeAtMs = clock.now();
        const answer = newest ? newestOf(newest, messageId) : null;
        const history = newest === null ? null : { sinceMs, seenAtMs: sinceMs, found, newest: answer, changed, pastErrors };
        session.send({
          type: 'snapshot.read',
          reading: {
            messageId,
            history,
            status: { sinceMs: thenMs, value: status },
            children: { sinceMs: thenMs, busy, quiet, unbegun, wholeSinceMs: descendants ? thenMs : null },
            asks: { sinceMs: thenMs, listed: asks.map((ask) => ({ ...ask, atMs: thenMs })) },
            agoMs: clock.now() - activeAtMs,
          },
        });
      };
    },
    /** A read that is asked for and answered. */
    read: (found: Found = {}): void => session.beginRead()(found),
    start: (id: string, parentId = 'msg_10') => session.send({ type: 'message.started', id, parentId }),
    /** A message has ended; with `null` it has no finish reason. */
    final: (id: string, finish: string | null = 'stop', of: Partial<FinalFacts> & { readonly error?: TurnError } = {}) =>
      session.send({ type: 'message.finalised', message: ended({ id, ...(finish !== null && { finish }), ...of }) }),
  };
  return session;
}

interface TurnOptions {
  readonly timeoutMs?: number | null;
  readonly bounds?: Partial<TurnBounds>;
  readonly emptyAnswer?: Turn['emptyAnswer'];
}

export type SessionUnderTest = ReturnType<typeof startSession>;

/** Brings a fresh turn to `active.running`. */
export function startRunning(options: SessionOptions = {}, turn: TurnOptions & { readonly kind?: Turn['kind'] } = {}): SessionUnderTest {
  const session = startSession(options);
  session.submit(1, turn.kind ?? 'prompt', turn);
  session.pass();
  session.send({ type: 'turn.accepted', source: 'answer' });
  session.send({ type: 'turn.accepted', source: 'events' });
  session.pass();
  session.send({ type: 'session.busy' });
  session.pass();
  session.start('msg_11');
  session.pass();
  return session;
}

/** Brings a fresh turn to where its message was taken and nothing else was heard. */
export function startAccepted(options: SessionOptions = {}): SessionUnderTest {
  const session = startSession(options);
  session.submit();
  session.pass();
  session.send({ type: 'turn.accepted', source: 'answer' });
  session.pass();
  return session;
}
