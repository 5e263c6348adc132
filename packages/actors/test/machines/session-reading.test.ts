import { describe, expect, test } from 'vitest';
import { childAsk, rootAsk, startAccepted, startRunning, startSession } from '../support/session-actor.ts';

describe('a read that began before an event', () => {
  test('does not take back the busy that the event told', () => {
    const session = startRunning();
    session.final('msg_11');
    const answer = session.beginRead();
    session.pass();
    session.send({ type: 'session.busy' });
    answer({ newest: null });
    expect(session.finished).toEqual([]);
    expect(session.turn?.idle).toBeNull();
  });

  test('does not take back the idle that the event told', () => {
    const session = startRunning();
    const answer = session.beginRead();
    session.pass();
    session.send({ type: 'session.idle' });
    answer({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.turn?.idle).toMatchObject({ source: 'events' });
  });

  test('does not take back the message that the event told', () => {
    const session = startRunning();
    const answer = session.beginRead();
    session.start('msg_12');
    answer({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.turn).toMatchObject({ newestMessageId: 'msg_12', final: null });
    expect(session.finished).toEqual([]);
  });

  test.each([
    { what: 'its own', ask: rootAsk },
    { what: "a sub-agent's", ask: childAsk },
  ])('does not close the ask that the event opened: $what', ({ ask }) => {
    const session = startRunning();
    const answer = session.beginRead();
    session.pass();
    session.send({ type: 'ask.opened', ask });
    answer({ newest: { id: 'msg_11' }, quiet: ['ses_child'] });
    expect(session.turn?.openAsks).toMatchObject([{ id: 'per_1' }]);
    expect(session.path).toBe('active.awaitingInput');
  });

  test('does not open the ask that the event closed', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: rootAsk });
    const answer = session.beginRead();
    session.send({ type: 'ask.closed', id: 'per_1' });
    answer({ newest: { id: 'msg_11' }, status: 'busy', asks: [rootAsk] });
    expect(session.turn?.openAsks).toEqual([]);
  });

  test('finds an ask, though its status is older than the busy that was told: who asks is not idle', () => {
    const session = startRunning();
    const answer = session.beginRead();
    session.pass();
    session.send({ type: 'session.busy' });
    answer({ newest: { id: 'msg_11' }, asks: [rootAsk] });
    expect(session.path).toBe('active.awaitingInput');
  });

  test('does not take back what the event told of a sub-agent', () => {
    const session = startRunning();
    const answer = session.beginRead();
    session.pass();
    session.send({ type: 'child.busy', sessionId: 'ses_a' });
    session.send({ type: 'child.quiet', sessionId: 'ses_b' });
    answer({ newest: { id: 'msg_11' }, status: 'busy', quiet: ['ses_a'], busy: ['ses_b', 'ses_c'] });
    const { children } = session.turn!;
    expect({ a: children['ses_a']?.busy, b: children['ses_b']?.busy, c: children['ses_c']?.busy }).toEqual({ a: true, b: false, c: true });
  });

  test('does not take a sub-agent for quiet that may begin still, for thirty seconds', () => {
    const session = startRunning();
    const unbegun = { newest: { id: 'msg_11', finish: 'stop' }, unbegun: ['ses_child'] };
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.read(unbegun);
    session.pass(29_000);
    session.read(unbegun);
    expect(session.path).toBe('active.waitingOnChildren');
    session.pass(1000);
    session.read(unbegun);
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });

  test('does not take a sub-agent for unbegun that the events have told quiet', () => {
    const session = startRunning();
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, unbegun: ['ses_child'] });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });

  test('for an earlier turn tells nothing of this one', () => {
    const session = startRunning();
    const answer = session.beginRead();
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    session.submit(2);
    const before = session.turn;
    answer({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.turn).toEqual(before);
  });
});

describe('a read that began after an event replaces what it told', () => {
  test('an ask that is gone is closed, and is not opened again by its late event', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.path).toBe('active.running');
    session.send({ type: 'ask.opened', ask: rootAsk });
    expect(session.turn?.openAsks).toEqual([]);
  });

  test('an ask that is listed, though who asks is idle, is what an abort left', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.read({ newest: { id: 'msg_11' }, asks: [rootAsk, { ...rootAsk, id: 'per_2' }] });
    expect(session.turn?.openAsks).toEqual([]);
  });

  test('an ask of a sub-agent that was read quiet waits for nobody; of one that is busy it does', () => {
    const session = startRunning();
    session.read({ newest: { id: 'msg_11' }, status: 'busy', busy: ['ses_child'], asks: [childAsk] });
    expect(session.turn?.openAsks).toMatchObject([{ id: 'per_1', sessionId: 'ses_child' }]);
    session.read({ newest: { id: 'msg_11' }, status: 'busy', quiet: ['ses_child'], asks: [childAsk] });
    expect(session.turn?.openAsks).toEqual([]);
  });

  test('a sub-agent that is quiet, and a retry that is over', () => {
    const session = startRunning();
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 9000 } });
    expect(session.path).toBe('active.backingOff');
    session.pass(9000);
    session.read({ newest: { id: 'msg_11' }, status: 'busy', busy: ['ses_child'] });
    expect(session.path).toBe('active.waitingOnChildren');
    session.read({ newest: { id: 'msg_11' }, status: 'busy', quiet: ['ses_child'] });
    expect(session.path).toBe('active.running');
    session.read({ newest: { id: 'msg_11' }, status: { attempt: 2, message: 'x', nextAtMs: 19_000 } });
    expect(session.path).toBe('active.backingOff');
    expect(session.turn?.retries).toHaveLength(2);
  });

  test('but no retry whose time has not come: opencode 2 calls it busy for a while', () => {
    const session = startRunning();
    session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 9000 } });
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.path).toBe('active.backingOff');
  });
});

describe('an idle that was read', () => {
  test('counts only after the final message was seen', () => {
    const session = startRunning();
    const answer = session.beginRead();
    session.pass();
    session.final('msg_11');
    session.pass();
    answer({ newest: { id: 'msg_11' } });
    expect(session.finished).toEqual([]);
    session.read({ newest: null });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });

  test('ends no turn that was not seen to begin', () => {
    const session = startAccepted();
    session.read();
    session.read();
    expect(session.finished).toEqual([]);
    expect(session.turn).toMatchObject({ busyAtMs: null, newestMessageId: null });
  });

  test('does not end a turn that stopped for tools, before the history was read once more', () => {
    const session = startRunning();
    session.final('msg_11', 'tool-calls');
    session.pass();
    session.send({ type: 'session.idle' });
    session.pass(0);
    session.read({ newest: { id: 'msg_11', finish: 'tool-calls' } });
    expect(session.finished).toEqual([]);
    session.read({ newest: { id: 'msg_12', finish: 'stop' } });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded', finalMessageId: 'msg_12' }]);
  });

  test('is asked for together with the history where a step may follow', () => {
    const session = startRunning();
    session.final('msg_11', 'tool-calls');
    session.pass();
    session.send({ type: 'session.idle' });
    session.pass(0);
    expect(session.requests).toEqual([{ history: true, descendants: false }]);
    session.read({ newest: { id: 'msg_11', finish: 'tool-calls' } });
    session.read({ newest: { id: 'msg_11', finish: 'tool-calls' } });
    expect(session.finished).toMatchObject([{ outcome: 'interrupted', finish: 'tool-calls', error: { code: 'TURN_INTERRUPTED' } }]);
  });
});

describe('a final message that was only read', () => {
  test('shows that the events are behind: sub-agents and asks are believed by a read of all of them', () => {
    const session = startRunning();
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, descendants: false });
    expect(session.finished).toEqual([]);
    session.pass(1000);
    expect(session.requests.at(-1)).toMatchObject({ descendants: true });
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, busy: ['ses_child'] });
    expect(session.path).toBe('active.waitingOnChildren');
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, quiet: ['ses_child'] });
    expect(session.finished).toMatchObject([
      { outcome: 'succeeded', proof: { children_quiet: { source: 'snapshot' }, no_pending_ask: { source: 'snapshot' } } },
    ]);
  });
});

describe('an end within a gap', () => {
  const lost = () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    return session;
  };

  test('is not proven before a history was read that began after the final message was told', () => {
    const session = lost();
    const answer = session.beginRead();
    session.send({ type: 'stream.live' });
    session.final('msg_11');
    session.pass();
    answer({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toEqual([]);
    session.pass();
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });

  test('is proven at the time at which its last sub-agent was read, once it was told quiet', () => {
    const session = lost();
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, busy: ['ses_child'] });
    session.pass(500);
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    expect(session.finished).toEqual([]);
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, quiet: ['ses_child'] });
    expect(session.finished).toMatchObject([
      { outcome: 'succeeded', proof: { children_quiet: { atMs: session.clock.now() }, no_pending_ask: { atMs: session.clock.now() } } },
    ]);
  });
});

describe('a turn with no end', () => {
  test('whose answer stays open is interrupted when it was read idle for five seconds', () => {
    const session = startRunning();
    session.send({ type: 'session.idle' });
    const beganMs = session.clock.now();
    const delays: number[] = [];
    while (session.finished.length === 0) {
      const beforeMs = session.clock.now();
      while (session.path !== 'active.reconciling') session.pass(10);
      delays.push(session.clock.now() - beforeMs);
      session.read({ newest: { id: 'msg_11' } });
    }
    expect(delays.slice(0, 4)).toEqual([150, 300, 600, 1200]);
    expect(session.clock.now() - beganMs).toBeGreaterThan(5000);
    expect(session.clock.now() - beganMs).toBeLessThan(8000);
    expect(session.finished).toMatchObject([
      { outcome: 'interrupted', proof: null, quarantined: true, error: { code: 'TURN_INTERRUPTED' } },
    ]);
  });

  test('a busy in between begins the five seconds anew', () => {
    const session = startRunning();
    session.read({ newest: { id: 'msg_11' } });
    session.pass(4000);
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    session.pass(2000);
    session.read({ newest: { id: 'msg_11' } });
    session.pass(4000);
    session.read({ newest: { id: 'msg_11' } });
    expect(session.finished).toEqual([]);
  });
});

describe('a gap of the stream', () => {
  test('makes events alone worth nothing until a read has closed it', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    expect(session.path).toBe('active.reconciling');
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.reconciling');
    session.send({ type: 'stream.live' });
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toMatchObject([
      {
        outcome: 'succeeded',
        gaps: 1,
        proof: {
          final_message: { source: 'events' },
          session_idle: { source: 'snapshot' },
          children_quiet: { source: 'events', sinceMs: expect.any(Number) as number },
        },
      },
    ]);
  });

  test('makes an idle of the stream worth nothing, also when a read has shown quiet meanwhile', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    session.send({ type: 'stream.live' });
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toEqual([]);
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });

  test('is not closed by a read that began before the stream was live again', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    const answer = session.beginRead();
    session.send({ type: 'stream.live' });
    answer({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.turn?.followedSinceMs).toBeNull();
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.turn?.followedSinceMs).toBeGreaterThan(1000);
    expect(session.path).toBe('active.running');
  });

  test('is not closed by a read without the history', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    session.read({ newest: null, status: 'busy' });
    expect(session.turn?.followedSinceMs).toBeNull();
  });

  test('leaves the whole turn to be read, sub-agents too', () => {
    const session = startRunning();
    session.final('msg_11');
    session.send({ type: 'stream.gap' });
    expect(session.requests).toEqual([{ history: true, descendants: true }]);
  });

  test('proofs after it say since when the events were followed again', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    const sinceMs = session.clock.now() - 1;
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished[0]?.proof).toMatchObject({
      session_idle: { source: 'events' },
      children_quiet: { source: 'events', sinceMs },
      no_pending_ask: { source: 'events', sinceMs },
    });
  });

  test('that nothing was replayed of: an end that events tell is proven by a read, which may know better', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live', incomplete: true });
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toEqual([]);
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.path).toBe('active.running');
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });

  test('lets a turn be proven by reads while the stream is down', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.path).toBe('active.reconciling');
    session.pass(2000);
    expect(session.effects).toEqual(['submit', 'read', 'read']);
    session.read({ newest: { id: 'msg_11', finish: 'stop' } });
    expect(session.finished).toMatchObject([
      { outcome: 'succeeded', proof: { children_quiet: { source: 'snapshot' }, no_pending_ask: { source: 'snapshot' } } },
    ]);
  });

  test('while the turn is sent leads to a read once it is accepted', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    session.pass();
    session.send({ type: 'turn.accepted', source: 'answer' });
    expect(session.path).toBe('active.reconciling');
  });

  test('before the turn is none of it: a turn that begins on a live stream is followed', () => {
    const session = startSession({ streamLive: false });
    session.send({ type: 'stream.live' });
    session.submit();
    expect(session.turn).toMatchObject({ followedSinceMs: 1000, gaps: 0 });
  });

  test('hides what a sub-agent said: one that is quiet since a read within the gap is read once more', () => {
    const session = startRunning();
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    session.send({ type: 'stream.gap' });
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, busy: ['ses_child'] });
    session.send({ type: 'stream.live' });
    session.pass();
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    expect(session.finished).toEqual([]);
    session.read({ newest: { id: 'msg_11', finish: 'stop' }, quiet: ['ses_child'] });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });

  test('hides our message: a retry counts that follows an answer to it', () => {
    const session = startSession();
    session.submit();
    session.pass();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    const answer = session.beginRead();
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.send({ type: 'session.busy' });
    session.start('msg_11');
    session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'Overloaded', nextAtMs: session.clock.now() + 5000 } });
    answer();
    session.read({ newest: { id: 'msg_11' }, status: 'busy' });
    expect(session.turn?.retries).toHaveLength(1);
  });

  test('hides asks, sub-agents and a retry, which a read shows', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.send({ type: 'stream.live' });
    session.read({ newest: { id: 'msg_11' }, status: 'busy', busy: ['ses_child'], asks: [rootAsk] });
    expect(session.path).toBe('active.awaitingInput');
    expect(session.answered).toEqual([['per_1']]);
    session.send({ type: 'ask.closed', id: 'per_1' });
    expect(session.path).toBe('active.waitingOnChildren');
  });
});

describe('our message stands alone after a gap', () => {
  const startAlone = () => {
    const session = startSession({ streamLive: false, answerRead: () => ({ found: true }) });
    session.submit();
    session.pass();
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.send({ type: 'stream.live' });
    return session;
  };

  test('and the session is idle for thirty seconds: it is interrupted, and the session quarantined', () => {
    const session = startAlone();
    session.pass(29_000);
    expect(session.finished).toEqual([]);
    session.pass(5000);
    expect(session.finished).toMatchObject([{ outcome: 'interrupted', quarantined: true, proof: null }]);
    expect(session.path).toBe('dead.quarantined');
    session.send({ type: 'session.busy' });
    expect(session.effects.at(-1)).toBe('abort');
  });

  test('and begins at the twenty-ninth: it goes on', () => {
    const session = startAlone();
    session.pass(28_900);
    session.send({ type: 'session.busy' });
    session.pass(60_000);
    expect(session.finished).toEqual([]);
    session.start('msg_11');
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded', finalMessageId: 'msg_11' }]);
  });

  test('and begins there while nobody hears it: a read that says busy begins the wait anew', () => {
    let isBusy = false;
    const session = startSession({ streamLive: false, answerRead: () => (isBusy ? { status: 'busy' } : {}) });
    session.submit();
    session.pass();
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.pass(28_900);
    isBusy = true;
    session.pass(10_000);
    isBusy = false;
    session.pass(29_000);
    expect(session.finished).toEqual([]);
    session.pass(6000);
    expect(session.finished).toMatchObject([{ outcome: 'interrupted', quarantined: true }]);
  });
});
