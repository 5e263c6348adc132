import { describe, expect, test } from 'vitest';
import { rootAsk, startAccepted, startRunning, startSession } from '../support/session-actor.ts';

const aborted = { kind: 'aborted', name: 'MessageAbortedError', message: 'Aborted' } as const;
const lost = { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'gone' } as const;
const abortsOf = ({ effects }: { readonly effects: readonly string[] }) => effects.filter((effect) => effect === 'abort').length;

describe('an abort', () => {
  test('is confirmed by the end of the message and an idle after it', () => {
    const session = startRunning();
    session.send({ type: 'turn.abort' });
    expect(session.path).toBe('active.aborting');
    session.pass();
    session.final('msg_11', null, { error: aborted });
    expect(session.path).toBe('active.aborting');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: false, error: { code: 'TURN_ABORTED' } }]);
    expect(session.path).toBe('idle');
  });

  test('is confirmed by a read when no event says so', () => {
    const session = startRunning();
    session.send({ type: 'turn.abort' });
    session.pass(1000);
    expect(session.effects).toEqual(['submit', 'abort', 'abort', 'read']);
    session.read({ newest: { id: 'msg_11', error: aborted } });
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: false }]);
    expect(session.path).toBe('idle');
  });

  test('is asked for every second', () => {
    const session = startRunning({ answerRead: () => ({ newest: { id: 'msg_11' }, status: 'busy' }) });
    session.send({ type: 'turn.abort' });
    session.pass(4500);
    expect(abortsOf(session)).toBe(5);
    session.pass(25_000);
    expect(abortsOf(session)).toBe(30);
  });

  test('is asked for at once when the turn turns busy', () => {
    const session = startRunning();
    session.send({ type: 'turn.abort' });
    session.pass(100);
    session.send({ type: 'session.busy' });
    expect(session.effects).toEqual(['submit', 'abort', 'abort']);
  });

  test('does not wait for asks, which end with the turn; it does wait for sub-agents', () => {
    const session = startRunning();
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.send({ type: 'ask.opened', ask: { ...rootAsk, sessionId: 'ses_child' } });
    session.send({ type: 'turn.abort' });
    session.final('msg_11', null, { error: aborted });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toEqual([]);
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    expect(session.finished).toMatchObject([{ outcome: 'aborted' }]);
  });

  test('ends what the tools have started when it is not confirmed in five seconds', () => {
    const session = startRunning();
    session.send({ type: 'turn.abort' });
    session.pass(4999);
    expect(session.effects).not.toContain('endTools');
    session.pass(1);
    expect(session.path).toBe('active.aborting');
    expect(session.effects).toContain('endTools');
    expect(session.effects.slice(-2)).toEqual(['abort', 'read']);
    session.read({ newest: { id: 'msg_11', error: aborted } });
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: false }]);
    expect(session.path).toBe('idle');
  });

  test('after a timeout ends as timed_out: the first decision stands', () => {
    const session = startRunning({}, { timeoutMs: 1000 });
    session.pass(1000);
    expect(session.path).toBe('active.aborting');
    session.send({ type: 'turn.abort' });
    session.final('msg_11', null, { error: aborted });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'timed_out', error: { code: 'TURN_TIMEOUT' } }]);
    expect(session.path).toBe('error');
  });

  test('while the stream is down is confirmed by reads', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'turn.abort' });
    session.pass(1000);
    session.read({ newest: { id: 'msg_11', error: aborted } });
    expect(session.finished).toMatchObject([{ outcome: 'aborted', gaps: 1 }]);
  });
});

describe('an abort before the turn has begun', () => {
  test('is confirmed by no idle, told or read', () => {
    const session = startAccepted();
    session.send({ type: 'turn.abort' });
    for (let second = 0; second < 20; second += 1) {
      session.pass(1000);
      session.send({ type: 'session.idle' });
      session.read();
    }
    expect(session.finished).toEqual([]);
    expect(abortsOf(session)).toBeGreaterThanOrEqual(20);
  });

  test('ends the turn when that begins later', () => {
    const session = startAccepted();
    session.send({ type: 'turn.abort' });
    session.pass(9500);
    const before = abortsOf(session);
    session.send({ type: 'session.busy' });
    expect(abortsOf(session)).toBe(before + 1);
    session.start('msg_11');
    session.final('msg_11', null, { error: aborted });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: false }]);
  });

  test('does not wait for the acceptance of a turn that is on its way', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.abort' });
    expect(session.path).toBe('active.aborting');
    expect(session.effects).toEqual(['submit', 'abort']);
    session.pass(5000);
    session.read({ found: false });
    expect(session.finished).toEqual([]);
    session.pass(25_000);
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: true }]);
  });

  test.each([1, 2])('asked for %i times leaves nothing behind that could touch the next turn', (times) => {
    const session = startSession();
    session.submit();
    for (let asked = 0; asked < times; asked += 1) session.send({ type: 'turn.abort' });
    session.pass();
    session.start('msg_11');
    session.final('msg_11', null, { error: aborted });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('idle');
    session.submit(2);
    session.pass(6000);
    expect(session.path).toBe('active.submitting');
  });
});

describe('an abort that is never confirmed', () => {
  const startHung = (withinMs?: number) => {
    const session = startRunning({ answerRead: () => ({ newest: { id: 'msg_11' }, status: 'busy' }) });
    session.send({ type: 'turn.abort', reason: 'enough', ...(withinMs !== undefined && { withinMs }) });
    return session;
  };

  test('quarantines the session after thirty seconds; the outcome is told all the same', () => {
    const session = startHung();
    session.pass(29_999);
    expect(session.finished).toEqual([]);
    session.pass(1);
    expect(session.path).toBe('dead.quarantined');
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: true, proof: null, error: { message: 'enough' } }]);
  });

  test('waits six times as long as an abort, where that was given', () => {
    const session = startRunning({ limits: { abortTimeoutMs: 100 } });
    session.send({ type: 'turn.abort' });
    session.pass(100);
    expect(session.path).toBe('active.aborting');
    session.pass(500);
    expect(session.path).toBe('dead.quarantined');
  });

  test('waits as long as its caller does', () => {
    const session = startHung(2000);
    session.pass(1999);
    expect(session.finished).toEqual([]);
    session.pass(1);
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: true }]);
  });

  test('waits as long as a later caller does; one without a bound changes nothing', () => {
    const session = startHung();
    session.pass(10_000);
    session.send({ type: 'turn.abort' });
    session.send({ type: 'turn.abort', withinMs: 3000 });
    session.pass(2999);
    expect(session.finished).toEqual([]);
    session.pass(1);
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: true, error: { message: 'enough' } }]);
  });

  test('does not wait longer because a later caller would', () => {
    const session = startHung(2000);
    session.send({ type: 'turn.abort', withinMs: 10_000 });
    session.pass(2000);
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: true }]);
  });

  test('keeps its bound when the turn was not even accepted', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.abort', withinMs: 1000 });
    session.pass();
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.pass(1000);
    expect(session.path).toBe('dead.quarantined');
  });

  test('leaves a session that takes no turn, and that aborts whatever begins there', () => {
    const session = startHung();
    session.pass(30_000);
    session.submit(2);
    expect(session.path).toBe('dead.quarantined');
    const before = abortsOf(session);
    session.send({ type: 'session.busy' });
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    expect(abortsOf(session)).toBe(before + 1);
    expect(session.effects).toContain('abortChildren');
    session.send({ type: 'session.idle' });
    session.pass(600_000);
    expect(session.path).toBe('dead.quarantined');
    expect(abortsOf(session)).toBe(before + 1);
    // It may have begun where no event told of it.
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    expect(abortsOf(session)).toBe(before + 2);
    expect(session.finished).toHaveLength(1);
  });

  test('aborts what begins in a session that was deleted, too', () => {
    const session = startRunning();
    for (let times = 0; times < 2; times += 1) session.send({ type: 'session.deleted' });
    const before = abortsOf(session);
    session.send({ type: 'session.busy' });
    expect(abortsOf(session)).toBe(before + 1);
    expect(session.path).toBe('dead.quarantined');
  });

  test.each([{ type: 'server.interrupted', error: lost } as const, { type: 'server.exited', error: lost } as const])(
    'ends with its server: $type',
    (event) => {
      const session = startHung();
      session.pass(30_000);
      session.send(event);
      expect(session.path).toBe('dead.gone');
      const before = abortsOf(session);
      session.send({ type: 'session.busy' });
      expect(abortsOf(session)).toBe(before);
      expect(session.finished).toHaveLength(1);
    },
  );
});
