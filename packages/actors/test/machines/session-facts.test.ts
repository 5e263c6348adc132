import { describe, expect, test } from 'vitest';
import { ended, rootAsk, startAccepted, startRunning, startSession, type Found } from '../support/session-actor.ts';

describe('a turn that goes well', () => {
  test('ends by events alone, without a read', () => {
    const session = startRunning();
    session.pass(500);
    session.final('msg_11');
    expect(session.path).toBe('active.running');
    session.pass(3);
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('idle');
    expect(session.effects).toEqual(['submit']);
    const quiet = { atMs: 1507, source: 'events', sinceMs: 1000 };
    expect(session.finished).toEqual([
      {
        taskId: 't1',
        messageId: 'msg_10',
        outcome: 'succeeded',
        proof: {
          final_message: { atMs: 1504, source: 'events' },
          session_idle: { atMs: 1507, source: 'events' },
          children_quiet: quiet,
          no_pending_ask: quiet,
        },
        error: null,
        finish: 'stop',
        notes: [],
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
    expect(session.path).toBe('active.running');
    session.pass();
    session.start('msg_12');
    session.pass();
    session.final('msg_12');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded', finalMessageId: 'msg_12' }]);
  });

  test('is accepted by its own events before the request is answered', () => {
    const session = startSession();
    session.submit();
    session.pass();
    session.send({ type: 'session.busy' });
    expect(session.path).toBe('active.submitting');
    session.start('msg_11');
    expect(session.path).toBe('active.running');
  });

  test('ends once, though its facts are told twice', () => {
    const session = startRunning();
    for (let times = 0; times < 2; times += 1) {
      session.final('msg_11');
      session.pass();
    }
    session.send({ type: 'session.idle' });
    session.send({ type: 'session.idle' });
    session.final('msg_11');
    expect(session.finished).toHaveLength(1);
  });
});

describe('facts of earlier turns', () => {
  test('the second idle of the last turn does not end the next', () => {
    const session = startRunning();
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    session.submit(2);
    session.pass();
    session.send({ type: 'session.idle' });
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.running');
    expect(session.turn?.idle).toBeNull();
    expect(session.finished).toHaveLength(1);
  });

  test('a final message that answers an earlier one is none of the turn', () => {
    const session = startRunning();
    session.send({ type: 'message.started', id: 'msg_12', parentId: 'msg_05' });
    session.send({ type: 'message.finalised', message: ended({ id: 'msg_12', parentId: 'msg_05', finish: 'stop' }) });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.turn).toMatchObject({ newestMessageId: 'msg_11', final: null });
    expect(session.finished).toEqual([]);
  });

  test('an older message of the turn does not take the place of the newest', () => {
    const session = startRunning();
    session.start('msg_13');
    session.final('msg_11');
    session.start('msg_12');
    expect(session.turn).toMatchObject({ newestMessageId: 'msg_13', final: null });
  });

  test('a message under a later one of opencode itself belongs to the turn', () => {
    const session = startRunning();
    session.start('msg_13', 'msg_12');
    session.send({ type: 'message.finalised', message: ended({ id: 'msg_13', parentId: 'msg_12', finish: 'stop' }) });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded', finalMessageId: 'msg_13' }]);
  });

  test('an error of the last turn, told before the stream showed our message, does not end this one', () => {
    const session = startRunning();
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    session.submit(2);
    session.pass();
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.pass();
    session.send({ type: 'session.errored', error: { kind: 'aborted', name: 'MessageAbortedError', message: 'Aborted' } });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.turn).toMatchObject({ messageId: 'msg_20', sessionError: null });
  });

  test('an error of the first turn counts before its message is stored: opencode could not read what was attached', () => {
    const session = startAccepted({ answerRead: () => ({ newest: null, status: 'idle' }) });
    session.send({ type: 'session.errored', error: { kind: 'other', name: 'UnknownError', message: 'ImageDecodeError' } });
    session.pass(10_000);
    expect(session.finished).toMatchObject([{ outcome: 'failed', error: { code: 'TURN_FAILED', message: 'ImageDecodeError' } }]);
  });

  describe('an error before the message of a later turn is stored', () => {
    const unread = { kind: 'other', name: 'UnknownError', message: 'ImageDecodeError' } as const;

    /** Brings the second turn of a session to where its message was taken and an error was told. */
    function startSecond(found: Found) {
      const session = startRunning({ answerRead: () => found });
      session.final('msg_11');
      session.pass();
      session.send({ type: 'session.idle' });
      session.submit(2);
      session.pass();
      session.send({ type: 'turn.accepted', source: 'answer' });
      session.pass();
      session.send({ type: 'session.errored', error: unread });
      session.pass(3000);
      return session;
    }

    test('is its own when a read finds neither the message nor that error in an earlier answer', () => {
      const session = startSecond({ found: false });
      expect(session.finished).toMatchObject([
        { outcome: 'succeeded' },
        { outcome: 'failed', error: { code: 'TURN_FAILED', message: 'ImageDecodeError' } },
      ]);
    });

    test.each([
      ['an earlier answer has it', { found: false, pastErrors: [unread] }],
      ['the message is there', { found: true }],
      ['the session is busy', { found: false, status: 'busy' }],
    ] as const)('says nothing when %s', (_, found) => {
      const session = startSecond(found);
      expect(session.finished.length).toBe(1);
      expect(session.path).toMatch(/^active\./);
    });
  });
});

describe('an error of the session', () => {
  const error = { kind: 'other', name: 'UnknownError', message: 'Model not found' } as const;

  test('ends a turn without an assistant message, once it is idle', () => {
    const session = startAccepted();
    session.send({ type: 'turn.accepted', source: 'events' });
    session.pass();
    session.send({ type: 'session.errored', error });
    expect(session.path).toBe('active.running');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([
      { outcome: 'failed', proof: null, finalMessageId: null, error: { code: 'TURN_FAILED', message: 'Model not found' } },
    ]);
    expect(session.path).toBe('error');
  });

  test('whose idle was told before it ends nothing; a read does', () => {
    const session = startAccepted();
    session.send({ type: 'turn.accepted', source: 'events' });
    session.send({ type: 'session.busy' });
    session.send({ type: 'session.idle' });
    session.pass();
    session.send({ type: 'session.errored', error });
    expect(session.finished).toEqual([]);
    session.read();
    expect(session.finished).toMatchObject([{ outcome: 'failed', error: { message: 'Model not found' } }]);
  });

  test('does not end a turn that asks somebody, or whose sub-agent works', () => {
    const session = startAccepted();
    session.send({ type: 'turn.accepted', source: 'events' });
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.send({ type: 'session.errored', error });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.waitingOnChildren');
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    expect(session.finished).toMatchObject([{ outcome: 'failed' }]);
  });

  test('says nothing where an assistant message is there', () => {
    const session = startRunning();
    session.send({ type: 'session.errored', error });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toEqual([]);
    session.final('msg_11');
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });
});

describe('an idle that was told', () => {
  test('before the final message is settled by a read', () => {
    const session = startRunning();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.settling');
    session.pass();
    session.final('msg_11');
    expect(session.path).toBe('active.settling');
    session.pass(149);
    expect(session.path).toBe('active.reconciling');
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded', proof: { session_idle: { source: 'snapshot' } } }]);
  });

  test('at the same instant as the final message is not after it', () => {
    const session = startRunning();
    session.final('msg_11');
    session.send({ type: 'session.idle' });
    expect(session.finished).toEqual([]);
  });

  test('between two steps is taken back by the next busy', () => {
    const session = startRunning();
    session.final('msg_11', 'tool-calls');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.settling');
    session.send({ type: 'session.busy' });
    expect(session.path).toBe('active.running');
    expect(session.turn?.idle).toBeNull();
  });

  test('after a step that stopped for tools ends nothing, however often it is told', () => {
    const session = startRunning();
    session.final('msg_11', 'tool-calls');
    for (let times = 0; times < 3; times += 1) {
      session.pass();
      session.send({ type: 'session.idle' });
    }
    expect(session.finished).toEqual([]);
    expect(session.path).toBe('active.reconciling');
  });

  test('does not end a turn whose sub-agent works, or that waits for an answer', () => {
    const session = startRunning();
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.send({ type: 'ask.opened', ask: { ...rootAsk, sessionId: 'ses_child' } });
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.awaitingInput');
    session.send({ type: 'ask.closed', id: 'per_1' });
    expect(session.path).toBe('active.waitingOnChildren');
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });
});

describe('a final message whose idle was lost', () => {
  test('is looked after in two seconds', () => {
    const session = startRunning();
    session.final('msg_11');
    session.pass(1999);
    expect(session.effects).toEqual(['submit']);
    session.pass(1);
    expect(session.effects).toEqual(['submit', 'read']);
    expect(session.requests).toEqual([{ history: false, descendants: false }]);
    session.read({ newest: null });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded', proof: { session_idle: { source: 'snapshot' } } }]);
  });

  test('is looked after later and later while the server says busy', () => {
    const session = startRunning();
    session.final('msg_11');
    const delays: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      const beforeMs = session.clock.now();
      while (session.path !== 'active.reconciling') session.pass(10);
      delays.push(session.clock.now() - beforeMs);
      session.read({ newest: null, status: 'busy' });
    }
    expect(delays).toEqual([2000, 4000, 8000, 16_000, 30_000, 30_000]);
    expect(session.finished).toEqual([]);
  });
});

test('a wait for a provider that is told before our message is an earlier turn’s', () => {
  const session = startSession();
  session.submit();
  session.send({ type: 'turn.accepted', source: 'answer' });
  session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 9_000_000 } });
  expect(session.turn).toMatchObject({ retry: null, retries: [], decision: null });
  session.send({ type: 'turn.accepted', source: 'events' });
  session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 9000 } });
  expect(session.path).toBe('active.backingOff');
});
