import { describe, expect, test } from 'vitest';
import { plainDefinition, sessionMachine } from '../../src/machines/index.ts';
import { startRunning, startSession } from '../support/session-actor.ts';

describe('a turn that goes well', () => {
  test('ends by events alone, without a read', () => {
    const session = startRunning();
    session.clock.increment(500);
    session.final('msg_11');
    expect(session.path).toBe('active.running');
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('idle');
    expect(session.effects).toEqual(['submit']);
    expect(session.finished).toEqual([
      {
        taskId: 't1',
        messageId: 'msg_10',
        outcome: 'succeeded',
        proof: {
          final_message: { atMs: 500, source: 'events' },
          session_idle: { atMs: 500, source: 'events' },
          children_quiet: { atMs: 0, source: 'events' },
          no_pending_ask: { atMs: 0, source: 'events' },
        },
        error: null,
        finalMessageId: 'msg_11',
        retries: 0,
        gaps: 0,
        resetAtMs: null,
        quarantined: false,
      },
    ]);
  });

  test('goes on after a step that stopped for tools', () => {
    const session = startRunning();
    session.final('msg_11', 'tool-calls');
    session.send({ type: 'message.started', id: 'msg_12' });
    session.final('msg_12');
    session.send({ type: 'session.idle' });
    expect(session.finished.map(({ outcome, finalMessageId }) => ({ outcome, finalMessageId }))).toEqual([
      { outcome: 'succeeded', finalMessageId: 'msg_12' },
    ]);
  });

  test('is accepted by its own events before the request is answered', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'session.busy' });
    expect(session.path).toBe('active.submitting');
    session.send({ type: 'message.started', id: 'msg_11' });
    expect(session.path).toBe('active.running');
  });
});

describe('idle that cannot be trusted', () => {
  test('the second idle of the last turn does not end the next', () => {
    const session = startRunning();
    session.final('msg_11');
    session.send({ type: 'session.idle' });
    session.submit(2);
    session.send({ type: 'session.idle' });
    session.send({ type: 'turn.accepted' });
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.running');
    expect(session.finished).toHaveLength(1);
  });

  test('an early idle is settled by a read', () => {
    const session = startRunning();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.settling');
    session.final('msg_11');
    expect(session.path).toBe('active.settling');
    session.clock.increment(150);
    expect(session.path).toBe('active.reconciling');
    session.snapshotRead({ final: { id: 'msg_11', finish: 'stop', empty: false } });
    expect(session.finished[0]?.proof?.session_idle).toEqual({ atMs: 150, source: 'snapshot' });
    expect(session.finished[0]?.outcome).toBe('succeeded');
  });

  test('an idle between two steps is taken back by the next busy', () => {
    const session = startRunning();
    session.final('msg_11', 'tool-calls');
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.settling');
    session.send({ type: 'session.busy' });
    expect(session.path).toBe('active.running');
  });

  test('a read that began before the newest busy does not count', () => {
    const session = startRunning();
    session.send({ type: 'session.idle' });
    session.clock.increment(150);
    const startedAtMs = session.clock.now() - 100;
    session.send({ type: 'session.busy' });
    session.snapshotRead({ startedAtMs, final: { id: 'msg_11', finish: 'stop', empty: false } });
    expect(session.path).toBe('active.running');
  });

  test('idle without any answer is interrupted after several reads, each later than the one before', () => {
    const session = startRunning();
    session.send({ type: 'session.idle' });
    const waits: number[] = [];
    while (session.finished.length === 0) {
      const before = session.clock.now();
      while (session.path !== 'active.reconciling') session.clock.increment(10);
      waits.push(session.clock.now() - before);
      session.snapshotRead();
    }
    expect(waits).toEqual([150, 300, 600, 1200]);
    expect(session.finished[0]).toMatchObject({ outcome: 'interrupted', proof: null, error: { code: 'TURN_INTERRUPTED' } });
    expect(session.path).toBe('error');
  });

  test('a turn that was accepted but has not begun is given twenty seconds to do so', () => {
    const session = startSession({ streamLive: false });
    session.submit();
    session.send({ type: 'turn.accepted' });
    session.send({ type: 'stream.live' });
    for (let index = 0; index < 200 && session.finished.length === 0; index += 1) {
      if (session.path === 'active.reconciling') session.snapshotRead();
      session.clock.increment(150);
    }
    expect(session.finished[0]?.outcome).toBe('interrupted');
    expect(session.clock.now()).toBeGreaterThan(15_000);
  });

  test('a session error without any message is a failure once a read confirms the idle', () => {
    const session = startRunning({ limits: { maxInconclusiveReads: 1 } });
    session.send({ type: 'session.errored', error: { kind: 'other', name: 'UnknownError', message: 'Model not found' } });
    session.send({ type: 'session.idle' });
    session.clock.increment(150);
    session.snapshotRead();
    expect(session.finished[0]).toMatchObject({ outcome: 'failed', error: { code: 'TURN_FAILED', message: 'Model not found' } });
  });
});

describe('verdicts of a proven end', () => {
  const verdicts = [
    { name: 'an empty answer', finish: 'stop', extra: { empty: true }, outcome: 'failed', code: 'ANSWER_EMPTY' },
    {
      name: 'an error',
      finish: undefined,
      extra: { error: { kind: 'provider', name: 'APIError', message: 'no', statusCode: 400 } },
      outcome: 'failed',
      code: 'TURN_FAILED',
    },
    {
      name: 'a spent quota',
      finish: undefined,
      extra: { error: { kind: 'provider', name: 'APIError', message: 'slow down', statusCode: 429 } },
      outcome: 'quota_exhausted',
      code: 'QUOTA_EXHAUSTED',
    },
    {
      name: "somebody else's abort",
      finish: undefined,
      extra: { error: { kind: 'aborted', name: 'MessageAbortedError', message: 'Aborted' } },
      outcome: 'aborted',
      code: 'TURN_ABORTED',
    },
  ] as const;
  test.each(verdicts)('$name is $outcome', ({ finish, extra, outcome, code }) => {
    const session = startRunning();
    session.final('msg_11', finish, extra);
    session.send({ type: 'session.idle' });
    expect(session.finished[0]).toMatchObject({ outcome, error: { code } });
  });

  test('a shell line that ends without a finish reason has succeeded', () => {
    const session = startSession();
    session.submit(1, 'shell');
    session.send({ type: 'session.busy' });
    session.final('msg_11', undefined);
    session.send({ type: 'session.idle' });
    // Nothing to wait for: only a read can prove this end.
    session.clock.increment(0);
    session.snapshotRead({ final: { id: 'msg_11', empty: false } });
    expect(session.finished[0]?.outcome).toBe('succeeded');
  });

  test('a turn that ends on a rejected question needs input', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: { id: 'que_1', kind: 'question', sessionId: 'ses_root' } });
    session.send({ type: 'ask.closed', id: 'que_1', rejectedQuestion: true });
    session.final('msg_11', 'tool-calls');
    session.send({ type: 'session.idle' });
    session.clock.increment(150);
    session.snapshotRead({ final: { id: 'msg_11', finish: 'tool-calls', empty: false } });
    expect(session.finished[0]).toMatchObject({ outcome: 'needs_input', error: { code: 'INPUT_NEEDED' } });
  });
});

describe('limits', () => {
  test('the first decision stands: an abort after a timeout is timed_out', () => {
    const session = startRunning({}, 1000);
    session.clock.increment(1000);
    expect(session.path).toBe('active.aborting');
    session.send({ type: 'turn.abort' });
    session.final('msg_11', undefined, { error: { kind: 'aborted', name: 'MessageAbortedError', message: 'Aborted' } });
    session.send({ type: 'session.idle' });
    expect(session.finished[0]).toMatchObject({ outcome: 'timed_out', error: { code: 'TURN_TIMEOUT' } });
    expect(session.path).toBe('error');
  });

  test('a stall is confirmed by a read before it is judged', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.clock.increment(2000);
    session.send({ type: 'progress' });
    session.clock.increment(2999);
    expect(session.path).toBe('active.running');
    session.clock.increment(1);
    expect(session.path).toBe('active.reconciling');
    session.snapshotRead({ status: 'busy' });
    expect(session.path).toBe('active.aborting');
    session.send({ type: 'session.idle' });
    expect(session.finished[0]).toMatchObject({ outcome: 'stalled', error: { code: 'TURN_STALLED' } });
  });

  test('a host that knows of a sign of life tells it when it is asked, and the limit counts from that sign', () => {
    let agoMs: number | undefined = 1000;
    const session = startRunning({
      limits: { stallTimeoutMs: 3000 },
      lookForProgress: () => session.send(agoMs === undefined ? { type: 'turn.silent' } : { type: 'progress', agoMs }),
    });
    session.clock.increment(3000);
    expect(session.path).toBe('active.running');
    agoMs = undefined;
    session.clock.increment(1999);
    expect(session.path).toBe('active.running');
    session.clock.increment(1);
    expect(session.path).toBe('active.reconciling');
    expect(session.turn).toMatchObject({ stallSuspected: true });
  });

  test('a sub-agent at work is looked after in the same way', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.clock.increment(2000);
    session.send({ type: 'progress', agoMs: 500 });
    session.clock.increment(2499);
    expect(session.path).toBe('active.waitingOnChildren');
    session.clock.increment(1);
    expect(session.path).toBe('active.reconciling');
  });

  test('progress during the read clears the suspicion', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.clock.increment(3000);
    session.send({ type: 'progress' });
    session.snapshotRead({ status: 'busy' });
    expect(session.path).toBe('active.running');
  });

  test('a server that answers no reads either is stalled', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 4000 } });
    session.clock.increment(4000);
    expect(session.path).toBe('active.reconciling');
    session.clock.increment(2000);
    session.clock.increment(2000);
    expect(session.turn?.decision?.outcome).toBe('stalled');
  });

  test('an ask that stays open ends as needs_input and names the rule', () => {
    const session = startRunning({ limits: { askTimeoutMs: 5000 } });
    session.send({
      type: 'ask.opened',
      ask: { id: 'per_1', kind: 'permission', sessionId: 'ses_child', permission: 'bash', patterns: ['rm -r x'] },
    });
    session.clock.increment(3000);
    session.send({
      type: 'ask.opened',
      ask: { id: 'per_2', kind: 'permission', sessionId: 'ses_root', permission: 'edit', patterns: ['a'] },
    });
    session.send({ type: 'ask.closed', id: 'per_2' });
    expect(session.path).toBe('active.awaitingInput');
    session.clock.increment(2000);
    expect(session.turn?.decision).toMatchObject({
      outcome: 'needs_input',
      rule: { permission: 'bash', pattern: 'rm -r x', action: 'allow' },
    });
    expect(session.path).toBe('active.aborting');
  });

  test('a question that stays open needs input, without a rule', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: { id: 'que_1', kind: 'question', sessionId: 'ses_root' } });
    session.clock.increment(60_000);
    expect(session.turn?.decision).toMatchObject({ outcome: 'needs_input', error: { code: 'INPUT_NEEDED' } });
  });

  test('a short provider retry is waited for, a long one is quota_exhausted with its time', () => {
    const session = startRunning();
    const retry = { attempt: 1, message: 'Rate limit reached', nextAtMs: 3000 };
    session.send({ type: 'session.retrying', retry });
    session.send({ type: 'session.retrying', retry });
    expect(session.path).toBe('active.backingOff');
    session.send({ type: 'session.busy' });
    expect(session.path).toBe('active.running');
    session.send({ type: 'session.retrying', retry: { attempt: 2, message: 'Rate limit reached', nextAtMs: 86_400_000 } });
    session.send({ type: 'session.idle' });
    expect(session.finished[0]).toMatchObject({ outcome: 'quota_exhausted', resetAtMs: 86_400_000, retries: 2 });
  });

  test('too many retries of a broken provider are a failure', () => {
    const session = startRunning({ limits: { maxRetries: 2 } });
    for (const attempt of [1, 2, 3])
      session.send({ type: 'session.retrying', retry: { attempt, message: 'Bad gateway', nextAtMs: attempt * 1000 } });
    session.send({ type: 'session.idle' });
    expect(session.finished[0]).toMatchObject({ outcome: 'failed', error: { code: 'TURN_FAILED' }, retries: 3 });
  });

  test('a back-off that does not end is looked at', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 1000 } });
    session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 2000 } });
    session.clock.increment(2999);
    expect(session.path).toBe('active.backingOff');
    session.clock.increment(1);
    expect(session.path).toBe('active.reconciling');
    session.send({ type: 'progress' });
    session.snapshotRead({ status: 'busy' });
    expect(session.path).toBe('active.running');
  });

  test('a runaway is ended', () => {
    const session = startRunning();
    session.send({ type: 'turn.runaway', reason: '5 empty answers' });
    session.send({ type: 'session.idle' });
    expect(session.finished[0]).toMatchObject({ outcome: 'runaway', error: { code: 'TURN_RUNAWAY' } });
  });
});

describe('abort', () => {
  test('is sent again, and confirmed by a read when no event says so', () => {
    const session = startRunning();
    session.send({ type: 'turn.abort' });
    session.clock.increment(1000);
    expect(session.effects).toEqual(['submit', 'abort', 'abort', 'read']);
    session.snapshotRead();
    expect(session.finished[0]).toMatchObject({ outcome: 'aborted', quarantined: false });
    expect(session.path).toBe('idle');
  });

  test('that is never confirmed quarantines the session, and the outcome is decided all the same', () => {
    const session = startRunning();
    session.send({ type: 'turn.abort', reason: 'enough' });
    session.clock.increment(1000);
    session.snapshotRead({ status: 'busy' });
    session.clock.increment(4000);
    expect(session.path).toBe('active.escalating');
    expect(session.effects).toEqual(['submit', 'abort', 'abort', 'read', 'endTools', 'abort', 'read']);
    session.clock.increment(1000);
    session.snapshotRead({ status: 'busy' });
    session.clock.increment(4000);
    expect(session.path).toBe('dead');
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: true, error: { message: 'enough' } }]);
  });

  test('that is confirmed when the tools are gone leaves a session that can be used', () => {
    const session = startRunning();
    session.send({ type: 'turn.abort' });
    session.clock.increment(5000);
    session.snapshotRead();
    expect(session.finished).toMatchObject([{ outcome: 'aborted', quarantined: false }]);
    expect(session.path).toBe('idle');
  });

  test('waits for the acceptance of a turn that is on its way', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.abort' });
    expect(session.effects).toEqual(['submit']);
    session.send({ type: 'turn.accepted' });
    expect(session.path).toBe('active.aborting');
    expect(session.effects).toEqual(['submit', 'abort']);
  });

  test('does not wait longer for that acceptance than for an abort', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.abort' });
    session.clock.increment(5000);
    expect(session.path).toBe('active.aborting');
    session.clock.increment(1000);
    session.snapshotRead({ messageFound: false });
    expect(session.finished).toMatchObject([{ outcome: 'aborted' }]);
  });

  test('while a turn is sent leaves nothing behind that could touch the next', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.abort' });
    session.send({ type: 'session.busy' });
    session.send({ type: 'turn.accepted' });
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('idle');
    session.submit(2);
    session.clock.increment(6000);
    expect(session.path).toBe('active.submitting');
  });

  test('in a settled turn is confirmed, though no idle event follows', () => {
    const session = startRunning();
    session.send({ type: 'session.idle' });
    session.send({ type: 'turn.abort' });
    expect(session.path).toBe('active.aborting');
    session.clock.increment(1000);
    session.snapshotRead();
    expect(session.path).toBe('idle');
  });

  test('does not wait for sub-agents or asks, which end with their root', () => {
    const session = startRunning();
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.send({ type: 'ask.opened', ask: { id: 'per_1', kind: 'permission', sessionId: 'ses_child' } });
    session.send({ type: 'turn.abort' });
    session.send({ type: 'session.idle' });
    expect(session.finished[0]?.outcome).toBe('aborted');
  });
});

describe('a turn whose request was not answered', () => {
  test('is read back, and goes on when the history has it', () => {
    const session = startSession();
    session.submit();
    session.send({
      type: 'turn.unknown',
      error: { name: 'OpencodeManagerError', code: 'REQUEST_TIMEOUT', message: 'late' },
    });
    expect(session.effects).toEqual(['submit', 'read']);
    session.snapshotRead({ status: 'busy', messageFound: true });
    expect(session.path).toBe('active.running');
  });

  test('is never sent again; it fails with the reason and is aborted in case it arrives late', () => {
    const session = startSession({ limits: { maxInconclusiveReads: 2 } });
    session.submit();
    session.send({
      type: 'turn.unknown',
      error: { name: 'OpencodeManagerError', code: 'REQUEST_TIMEOUT', message: 'late' },
    });
    session.snapshotRead({ messageFound: false });
    session.clock.increment(2000);
    session.snapshotRead({ messageFound: false });
    expect(session.path).toBe('active.aborting');
    session.clock.increment(1000);
    session.snapshotRead({ messageFound: false });
    expect(session.effects).toEqual(['submit', 'read', 'read', 'abort', 'abort', 'read']);
    expect(session.finished[0]).toMatchObject({ outcome: 'failed', error: { code: 'REQUEST_TIMEOUT' } });
  });

  test('is looked for after the deadline of its acceptance; commands get more time', () => {
    const prompt = startSession();
    prompt.submit();
    prompt.clock.increment(20_000);
    expect(prompt.path).toBe('active.reconciling');
    const command = startSession();
    command.submit(1, 'command');
    command.clock.increment(20_000);
    expect(command.path).toBe('active.submitting');
  });

  test('that was refused fails at once', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.refused', error: { name: 'OpencodeManagerError', code: 'NOT_FOUND', message: 'gone' } });
    expect(session.finished[0]).toMatchObject({ outcome: 'failed', error: { code: 'NOT_FOUND' } });
    expect(session.path).toBe('error');
  });
});

describe('gaps of the stream', () => {
  test('events alone prove nothing until a read after the gap', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    expect(session.path).toBe('active.reconciling');
    session.final('msg_11');
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.reconciling');
    session.send({ type: 'stream.live' });
    session.snapshotRead({ final: { id: 'msg_11', finish: 'stop', empty: false } });
    expect(session.finished[0]).toMatchObject({ outcome: 'succeeded', gaps: 1 });
  });

  test('a turn can be proven by reads while the stream is down', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.snapshotRead({ status: 'busy' });
    expect(session.path).toBe('active.reconciling');
    session.clock.increment(2000);
    session.snapshotRead({ final: { id: 'msg_11', finish: 'stop', empty: false } });
    expect(session.finished[0]?.outcome).toBe('succeeded');
  });

  test('a gap while the turn is sent leads to a read once it is accepted', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    session.send({ type: 'turn.accepted' });
    expect(session.path).toBe('active.reconciling');
  });

  test('a read shows what the gap hid: asks, children, a retry', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    session.snapshotRead({ status: 'busy', asks: [{ id: 'per_1', kind: 'permission', sessionId: 'ses_root', atMs: 0 }] });
    expect(session.path).toBe('active.awaitingInput');
    session.send({ type: 'ask.closed', id: 'per_1' });
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    expect(session.path).toBe('active.waitingOnChildren');
  });
});

describe('the end of a session', () => {
  const error = { name: 'OpencodeManagerError', code: 'SERVER_EXITED', message: 'gone' } as const;
  test.each([
    { event: { type: 'server.exited', error } as const, outcome: 'server_lost' },
    { event: { type: 'session.failed', error } as const, outcome: 'interrupted' },
    { event: { type: 'session.deleted' } as const, outcome: 'interrupted' },
  ])('$event.type ends the turn as $outcome', ({ event, outcome }) => {
    const session = startRunning();
    session.send(event);
    expect(session.path).toBe('dead');
    expect(session.finished.map((turn) => turn.outcome)).toEqual([outcome]);
  });

  test('a failed session can be retried or recovered', () => {
    const session = startRunning();
    session.final('msg_11', 'stop', { empty: true });
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('error');
    session.send({ type: 'session.recover' });
    expect(session.path).toBe('idle');
    session.submit(2);
    expect(session.path).toBe('active.submitting');
  });
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
    'escalating',
  ]);
  const { transitions, always } = states['settling']!;
  expect([...transitions, ...always].map(({ eventType, delay, guard, target }) => ({ eventType, delay, guard, target }))).toEqual([
    { eventType: 'stream.gap', target: ['#session.active.reconciling'] },
    {
      eventType: 'xstate.after.settleDelay.session.active.settling',
      delay: 'settleDelay',
      target: ['#session.active.reconciling'],
    },
    { eventType: '', guard: { type: 'phaseIs', params: { phase: 'aborting' } }, target: ['#session.active.aborting'] },
    { eventType: '', guard: 'endsWell', target: ['#session.idle'] },
    { eventType: '', guard: 'endsBadly', target: ['#session.error'] },
    { eventType: '', guard: { type: 'phaseIsNot', params: { phase: 'settling' } }, target: ['#session.active.running'] },
  ]);
});
