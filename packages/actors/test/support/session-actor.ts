import type { TurnError } from '@opencode-manager/core/protocol';
import { createActor, SimulatedClock, type InspectionEvent } from 'xstate';
import { sessionMachine, type FinishedTurn, type SessionInput, type SessionMachineEvent, type Turn } from '../../src/machines/index.ts';

type WithoutTime<Event> = Event extends { readonly atMs: number } ? Omit<Event, 'atMs'> : Event;

/** A session actor on a simulated clock, with its effects and its ends on record. */
export function startSession({
  limits,
  inspect,
  streamLive = true,
  lookForProgress,
}: Pick<SessionInput, 'limits' | 'streamLive'> & { inspect?: (event: InspectionEvent) => void; lookForProgress?: () => void } = {}) {
  const clock = new SimulatedClock();
  const effects: string[] = [];
  const finished: FinishedTurn[] = [];
  const machine = sessionMachine.provide({
    actions: {
      submitTurn: () => void effects.push('submit'),
      requestAbort: () => void effects.push('abort'),
      requestSnapshot: () => void effects.push('read'),
      endTools: () => void effects.push('endTools'),
      ...(lookForProgress && { lookForProgress }),
    },
  });
  const input = { sessionId: 'ses_root', directory: '/work', streamLive, ...(limits && { limits }) };
  const actor = createActor(machine, { input, clock, ...(inspect && { inspect }) });
  actor.on('turn.finished', ({ turn }) => finished.push(turn));
  actor.subscribe({ error: () => {} });
  actor.start();
  const send = (event: WithoutTime<SessionMachineEvent>) => {
    if (actor.getSnapshot().status === 'active') actor.send({ atMs: clock.now(), ...event } as SessionMachineEvent);
  };
  return {
    actor,
    clock,
    effects,
    finished,
    send,
    submit: (id = 1, kind: Turn['kind'] = 'prompt', timeoutMs: number | null = null) =>
      send({ type: 'turn.submit', taskId: `t${id}`, messageId: `msg_${id}0`, kind, timeoutMs }),
    /** The state as one path, for example `active.running`. */
    get path() {
      const { value } = actor.getSnapshot();
      return typeof value === 'string'
        ? value
        : Object.entries(value)
            .map((entry) => entry.join('.'))
            .join();
    },
    get turn() {
      return actor.getSnapshot().context.turn;
    },
    snapshotRead: (facts: Partial<Extract<SessionMachineEvent, { type: 'snapshot.read' }>['facts']> = {}) =>
      send({
        type: 'snapshot.read',
        facts: {
          startedAtMs: clock.now(),
          messageId: actor.getSnapshot().context.turn?.messageId ?? '',
          status: 'idle',
          busyChildren: [],
          asks: [],
          messageFound: true,
          final: null,
          ...facts,
        },
      }),
    final: (id: string, finish: string | undefined = 'stop', extra: { empty?: boolean; error?: TurnError } = {}) =>
      send({ type: 'message.finalised', message: { id, empty: false, ...(finish !== undefined && { finish }), ...extra } }),
  };
}

export type SessionUnderTest = ReturnType<typeof startSession>;

/** Brings a fresh turn to `active.running`. */
export function startRunning(options: Parameters<typeof startSession>[0] = {}, timeoutMs: number | null = null): SessionUnderTest {
  const session = startSession(options);
  session.submit(1, 'prompt', timeoutMs);
  session.send({ type: 'turn.accepted' });
  session.send({ type: 'session.busy' });
  session.send({ type: 'message.started', id: 'msg_11' });
  return session;
}
