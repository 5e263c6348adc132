import { describe, expect, test } from 'vitest';
import { plainDefinition, sessionMachine } from '../../src/machines/index.ts';
import { rootAsk, startRunning, startSession } from '../support/session-actor.ts';

const error = { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'gone' } as const;

describe('the end of a session', () => {
  test.each([
    { event: { type: 'server.exited', error } as const, outcome: 'server_lost', path: 'dead.gone' },
    { event: { type: 'session.failed', error } as const, outcome: 'interrupted', path: 'dead.gone' },
    // opencode goes on with the turn of a session that is deleted.
    { event: { type: 'session.deleted' } as const, outcome: 'interrupted', path: 'dead.quarantined' },
  ])('$event.type ends the turn as $outcome', ({ event, outcome, path }) => {
    const session = startRunning();
    session.send(event);
    expect(session.path).toBe(path);
    expect(session.finished).toMatchObject([{ outcome, proof: null, quarantined: path !== 'dead.gone' }]);
    session.submit(2);
    expect(session.path).toBe(path);
  });

  test.each([{ type: 'server.exited', error } as const, { type: 'session.deleted' } as const])(
    'without a turn says nothing: $type',
    (event) => {
      const session = startSession();
      session.send(event);
      expect(session.path).toBe('dead.gone');
      expect(session.finished).toEqual([]);
    },
  );
});

describe('a failed session', () => {
  test('can be retried or recovered', () => {
    const session = startRunning();
    session.final('msg_11', 'stop', { hasText: false });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('error');
    session.send({ type: 'session.recover' });
    expect(session.path).toBe('idle');
    session.submit(2);
    expect(session.path).toBe('active.submitting');
  });
});

describe('a server that is lost and comes again', () => {
  test('interrupts the turn, whose end is read from the next one; nothing is sent', () => {
    const session = startRunning();
    session.send({ type: 'server.interrupted', error });
    expect(session.path).toBe('error');
    expect(session.finished).toMatchObject([{ outcome: 'interrupted', error: { code: 'SERVER_EXITED' } }]);
    session.effects.length = 0;
    session.requests.length = 0;
    session.send({ type: 'turn.resume', taskId: 't1', messageId: 'msg_10', kind: 'prompt', timeoutMs: null });
    expect(session.path).toBe('active.reconciling');
    expect(session.effects).toEqual(['read']);
    expect(session.requests).toEqual([{ history: true, descendants: true }]);
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished[1]).toMatchObject({ outcome: 'succeeded', gaps: 1 });
    expect(session.actor.getSnapshot().context).toMatchObject({ turns: 1, resumptions: 1 });
  });
});

test('effects get what they need from the transition', () => {
  const session = startRunning();
  session.send({ type: 'ask.opened', ask: rootAsk });
  session.send({ type: 'ask.opened', ask: { ...rootAsk, id: 'per_2' } });
  session.send({ type: 'stream.gap' });
  expect(session.answered).toEqual([['per_1'], ['per_1', 'per_2']]);
  expect(session.requests).toEqual([{ history: true, descendants: true }]);
});

test('its definition is plain JSON with states, guards, delays and eventless transitions', () => {
  const definition = plainDefinition(sessionMachine);
  expect(JSON.parse(JSON.stringify(definition))).toEqual(definition);
  const { states } = definition.states['active']!;
  expect(Object.keys(states)).toEqual([
    'submitting',
    'running',
    'backingOff',
    'awaitingInput',
    'waitingOnChildren',
    'settling',
    'reconciling',
    'aborting',
  ]);
  const { transitions, always } = states['settling']!;
  expect([...transitions, ...always].map(({ eventType, delay, guard, target }) => ({ eventType, delay, guard, target }))).toEqual([
    {
      eventType: 'xstate.after.settleDelay.session.active.settling',
      delay: 'settleDelay',
      target: ['#session.active.reconciling'],
    },
    { eventType: '', guard: 'endsWell', target: ['#session.idle'] },
    { eventType: '', guard: 'endsBadly', target: ['#session.error'] },
    { eventType: '', guard: { type: 'phaseIsNot', params: { phase: 'settling' } }, target: ['#session.active.running'] },
  ]);
});
