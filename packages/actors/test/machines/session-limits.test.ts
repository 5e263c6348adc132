import { describe, expect, test } from 'vitest';
import { rootAsk, startAccepted, startRunning, startSession, type Found } from '../support/session-actor.ts';

const hung: Found = { newest: { id: 'msg_11' }, status: 'busy' };

describe('a stall', () => {
  test('is confirmed by a read before it is judged', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.pass(3000);
    expect(session.path).toBe('active.reconciling');
    expect(session.requests).toEqual([{ history: true, descendants: true }]);
    expect(session.turn).toMatchObject({ stallSuspected: true, decision: null });
    session.read(hung);
    expect(session.turn?.decision?.outcome).toBe('stalled');
    expect(session.path).toBe('active.aborting');
  });

  test('is counted from the newest activity', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.pass(2000);
    session.hear();
    session.pass(2999);
    expect(session.path).toBe('active.running');
    session.pass(1);
    expect(session.path).toBe('active.reconciling');
  });

  test('of a sub-agent is looked at in the same way', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.pass(1000);
    session.hear();
    session.pass(2999);
    expect(session.path).toBe('active.waitingOnChildren');
    session.pass(1);
    expect(session.path).toBe('active.reconciling');
  });

  test.each<{ name: string; found: Found; heard?: boolean }>([
    { name: 'a history that has changed', found: { ...hung, changed: true } },
    { name: 'a word that came meanwhile', found: hung, heard: true },
    { name: 'a retry', found: { ...hung, status: { attempt: 1, message: 'x', nextAtMs: 20_000 } } },
  ])('is none after $name', ({ found, heard = false }) => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.pass(3000);
    if (heard) session.hear();
    session.read(found);
    expect(session.turn).toMatchObject({ decision: null });
    expect(session.path).not.toBe('active.aborting');
  });

  test('is none by a read that began before the newest busy', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000 } });
    session.pass(3000);
    const answer = session.beginRead();
    session.pass();
    session.send({ type: 'session.busy' });
    answer(hung);
    expect(session.turn?.decision).toBeNull();
  });

  test('of a server that answers no reads either is judged after thirty seconds', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 4000 } });
    session.pass(4000);
    expect(session.path).toBe('active.reconciling');
    session.pass(29_990);
    expect(session.turn?.decision).toBeNull();
    session.pass(10);
    expect(session.turn?.decision?.outcome).toBe('stalled');
  });

  test('is none while somebody is asked', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 3000, askTimeoutMs: 3_600_000 } });
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.pass(100_000);
    expect(session.path).toBe('active.awaitingInput');
    session.send({ type: 'ask.closed', id: 'per_1' });
    session.pass(2999);
    expect(session.path).toBe('active.running');
    session.pass(1);
    expect(session.path).toBe('active.reconciling');
  });

  test('is none during a back-off, only after its end', () => {
    const session = startRunning({ limits: { stallTimeoutMs: 1000 } });
    session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: session.clock.now() + 10_000 } });
    session.pass(10_999);
    expect(session.path).toBe('active.backingOff');
    session.pass(1);
    expect(session.path).toBe('active.reconciling');
  });

  test('with the stream down ends the turn in its time, though every read says busy for a day', () => {
    const session = startRunning({ answerRead: () => hung });
    session.send({ type: 'stream.gap' });
    const gapMs = session.clock.now();
    while (session.finished.length === 0 && session.clock.now() - gapMs < 24 * 3_600_000) session.pass(1000);
    expect(session.finished).toMatchObject([{ outcome: 'stalled', error: { code: 'TURN_STALLED' } }]);
    // The limit, the read that confirms it, and the wait for an abort that nobody confirms.
    expect(session.clock.now() - gapMs).toBeLessThanOrEqual(300_000 + 30_000 + 30_000);
  });

  test('with the stream down is decided within the limit and thirty seconds, whether reads are answered or not', () => {
    for (const answerRead of [() => hung, () => undefined]) {
      const session = startRunning({ answerRead });
      session.send({ type: 'stream.gap' });
      session.pass(299_000);
      expect(session.turn?.decision).toBeNull();
      session.pass(31_010);
      expect(session.turn?.decision?.outcome).toBe('stalled');
    }
  });

  test('is none while what is read changes, with the stream down', () => {
    const found: { current: Found } = { current: { ...hung, changed: true } };
    const session = startRunning({ answerRead: () => found.current });
    session.send({ type: 'stream.gap' });
    session.pass(3_600_000);
    expect(session.turn).toMatchObject({ decision: null });
    found.current = hung;
    session.pass(340_000);
    expect([session.turn?.decision?.outcome, ...session.finished.map(({ outcome }) => outcome)]).toContain('stalled');
  });
});

describe("the task's deadline", () => {
  test('counts from the start, whatever the turn does', () => {
    const session = startSession();
    session.submit(1, 'prompt', { timeoutMs: 10_000 });
    session.pass(5000);
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.send({ type: 'stream.gap' });
    session.pass(4999);
    expect(session.turn?.decision).toBeNull();
    session.pass(1);
    expect(session.turn?.decision?.outcome).toBe('timed_out');
  });
});

describe('a provider retry', () => {
  const retry = (attempt: number, nextAtMs: number, message = 'Rate limit reached') =>
    ({ type: 'session.retrying', retry: { attempt, message, nextAtMs } }) as const;
  const failed = { error: { kind: 'aborted', name: 'MessageAbortedError', message: 'Aborted' } } as const;

  test('that a read found decides nothing when an event has ended it since', () => {
    const session = startRunning();
    const tell = session.beginRead();
    session.pass(5);
    session.send({ type: 'session.busy' });
    session.pass();
    tell({ newest: { id: 'msg_11' }, status: { attempt: 1, message: 'Rate limit reached', nextAtMs: session.clock.now() + 10_000_000 } });
    expect(session.turn).toMatchObject({ retry: null, decision: null });
    expect(session.actor.getSnapshot().status).toBe('active');
    expect(session.finished).toEqual([]);
  });

  test('that is short is waited for, and counted once, however often it is told', () => {
    const session = startRunning();
    session.send(retry(1, 3000));
    session.send(retry(1, 3000));
    expect(session.path).toBe('active.backingOff');
    session.send({ type: 'session.busy' });
    expect(session.path).toBe('active.running');
    expect(session.turn).toMatchObject({ retries: [{ attempt: 1 }], retry: null });
  });

  test('that is read before the events of earlier ones come is counted once, as they are', () => {
    const session = startRunning();
    session.read({ newest: { id: 'msg_11' }, status: { attempt: 3, message: 'Rate limit reached', nextAtMs: 5000 } });
    for (const attempt of [1, 2, 3]) session.send(retry(attempt, 2000 + 1000 * attempt));
    expect(session.turn?.retries.map(({ attempt }) => attempt)).toEqual([3, 1, 2]);
  });

  test('that is long is quota_exhausted, with its time', () => {
    const session = startRunning();
    session.send(retry(1, 86_400_000));
    expect(session.path).toBe('active.aborting');
    session.final('msg_11', null, failed);
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'quota_exhausted', resetAtMs: 86_400_000, retries: 1 }]);
  });

  test('that is long and only read is the same', () => {
    const session = startRunning();
    session.send({ type: 'stream.gap' });
    session.read({ ...hung, status: { attempt: 1, message: 'Rate limit reached', nextAtMs: 86_400_000 } });
    expect(session.turn?.decision).toMatchObject({ outcome: 'quota_exhausted', resetAtMs: 86_400_000 });
  });

  test('of a broken provider, too often, is a failure', () => {
    const session = startRunning({ limits: { maxRetries: 2 } });
    for (const attempt of [1, 2]) session.send(retry(attempt, attempt * 1000, 'Bad gateway'));
    expect(session.turn?.decision).toBeNull();
    session.send(retry(3, 3000, 'Bad gateway'));
    expect(session.turn?.decision).toMatchObject({ outcome: 'failed', error: { code: 'TURN_FAILED' } });
  });
});

describe('a turn that goes round in circles', () => {
  const loop = { emptySteps: 0, repetitions: 0, period: 1 };
  test.each([
    { name: 'four steps without call and end', of: { emptySteps: 4 }, outcome: undefined },
    { name: 'five', of: { emptySteps: 5 }, outcome: 'runaway' },
    { name: 'nine repetitions of a cycle', of: { repetitions: 9, period: 8 }, outcome: undefined },
    { name: 'ten', of: { repetitions: 10, period: 8 }, outcome: 'runaway' },
  ])('$name: $outcome', ({ of, outcome }) => {
    const session = startRunning();
    session.send({ type: 'loop.seen', loop: { ...loop, ...of } });
    expect(session.turn?.decision?.outcome).toBe(outcome);
    if (outcome) expect(session.path).toBe('active.aborting');
  });

  test('says in its error what was repeated', () => {
    const messageOf = (of: Partial<typeof loop>) => {
      const session = startRunning();
      session.send({ type: 'loop.seen', loop: { ...loop, ...of } });
      return session.turn?.decision?.error?.message;
    };
    expect(messageOf({ emptySteps: 5 })).toBe('The turn was stopped as a runaway: 5 steps in a row had neither a tool call nor an end.');
    expect(messageOf({ repetitions: 10 })).toBe(
      'The turn was stopped as a runaway: 10 identical tool calls in a row had the same results.',
    );
    expect(messageOf({ repetitions: 10, period: 3 })).toContain('10 repetitions of the same 3 tool calls');
  });
});

test('a turn that says more than it may is aborted, and fails', () => {
  const session = startRunning({ limits: { maxAnswerBytes: 1000 } });
  session.send({ type: 'answer.oversized', bytes: 1000 });
  expect(session.turn?.decision).toBeNull();
  session.send({ type: 'answer.oversized', bytes: 1001 });
  expect(session.path).toBe('active.aborting');
  const { outcome, error } = session.turn?.decision ?? {};
  expect([outcome, error?.code]).toEqual(['failed', 'ANSWER_TOO_LARGE']);
  expect(error?.message).toContain('1001 bytes (text and reasoning), more than maxAnswerBytes (1000)');
});

describe('a budget', () => {
  const spent = (steps: number, tokens = 0, usd = 0) => ({ type: 'usage.seen', spent: { steps, tokens, usd } }) as const;

  test.each([
    { name: 'tokens', bounds: { tokens: 100 }, below: spent(1, 99), at: spent(2, 100) },
    { name: 'money', bounds: { usd: 0.5 }, below: spent(1, 0, 0.49), at: spent(2, 0, 0.5) },
    { name: 'steps', bounds: { steps: 2 }, below: spent(1), at: spent(2) },
  ])('of $name ends the turn between two steps, once it is spent', ({ name, bounds, below, at }) => {
    const session = startRunning({}, { bounds });
    session.start('msg_11');
    session.final('msg_11', 'tool-calls');
    session.send(below);
    expect(session.path).toBe('active.running');
    session.start('msg_12');
    session.final('msg_12', 'tool-calls');
    session.send(at);
    expect(session.path).toBe('active.aborting');
    const { outcome, error } = session.turn?.decision ?? {};
    expect([outcome, error?.code]).toEqual(['over_budget', 'BUDGET_SPENT']);
    expect(error?.details).toMatchObject({ limit: name === 'money' ? 'usd' : name });
  });

  test('that its last step has spent ends no turn that is over with it', () => {
    const session = startRunning({}, { bounds: { tokens: 100, steps: 1 } });
    session.start('msg_11');
    session.final('msg_11', 'stop');
    session.send(spent(1, 150));
    expect(session.turn?.decision).toBeNull();
  });

  test('of steps lets the last one come to its end, and ends one more', () => {
    const session = startRunning({}, { bounds: { steps: 1 } });
    session.start('msg_11');
    session.send(spent(1));
    expect(session.turn?.decision).toBeNull();
    // A step of a sub-agent.
    session.send(spent(2));
    expect(session.turn?.decision?.outcome).toBe('over_budget');
  });

  test('of steps counts failed calls: the wait for the next one is between two steps', () => {
    const session = startRunning({}, { bounds: { steps: 2 } });
    session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 2000 } });
    session.send(spent(1));
    expect(session.path).toBe('active.backingOff');
    session.send({ type: 'session.retrying', retry: { attempt: 2, message: 'x', nextAtMs: 4000 } });
    session.send(spent(2));
    expect(session.path).toBe('active.aborting');
  });

  test('that sub-agents have spent ends the turn while they work', () => {
    const session = startRunning({}, { bounds: { tokens: 100 } });
    session.start('msg_11');
    session.send({ type: 'child.busy', sessionId: 'ses_child' });
    session.send(spent(2, 100));
    expect(session.path).toBe('active.aborting');
  });
});

describe('a limit of work', () => {
  test('ends the turn after so much time', () => {
    const session = startRunning({}, { bounds: { workingMs: 5000 } });
    session.pass(4990);
    expect(session.turn?.decision).toBeNull();
    session.pass(10);
    expect(session.turn?.decision).toMatchObject({ outcome: 'timed_out', error: { details: { limit: 'working', value: 5000 } } });
  });

  test('stands still while the provider is waited for, and while somebody is asked', () => {
    const session = startRunning({ limits: { askTimeoutMs: 100_000 } }, { bounds: { workingMs: 5000 } });
    session.pass(1000);
    session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'x', nextAtMs: 20_000 } });
    session.pass(9000);
    session.send({ type: 'session.busy' });
    session.pass(1000);
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.pass(9000);
    session.send({ type: 'ask.closed', id: rootAsk.id });
    session.pass(2900);
    expect(session.turn?.decision).toBeNull();
    session.pass(200);
    expect(session.turn?.decision?.outcome).toBe('timed_out');
  });
});

describe('the acceptance of a turn', () => {
  const late = { name: 'OpencodeManagerError', code: 'REQUEST_TIMEOUT', message: 'late' } as const;

  test('that is unknown is read back, and the turn goes on when the history has it', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.unknown', error: late });
    expect(session.effects).toEqual(['submit', 'read']);
    session.read({ status: 'busy' });
    expect(session.path).toBe('active.running');
  });

  test('that is unknown is never sent again: without the message in an idle session it fails with the reason', () => {
    const session = startSession({ answerRead: () => ({ found: false }) });
    session.submit();
    session.send({ type: 'turn.unknown', error: late });
    session.pass(4000);
    expect(session.finished).toEqual([]);
    session.pass(4000);
    expect(session.effects.filter((effect) => effect !== 'read' && effect !== 'abort')).toEqual(['submit']);
    expect(session.finished).toMatchObject([{ outcome: 'failed', quarantined: true, error: { code: 'REQUEST_TIMEOUT' } }]);
  });

  test.each([
    { kind: 'prompt' as const, afterMs: 20_000 },
    { kind: 'command' as const, afterMs: 300_000 },
    { kind: 'shell' as const, afterMs: 300_000 },
  ])('of a $kind is looked for after $afterMs ms', ({ kind, afterMs }) => {
    const session = startSession();
    session.submit(1, kind);
    session.pass(afterMs - 1);
    expect(session.path).toBe('active.submitting');
    session.pass(1);
    expect(session.path).toBe('active.reconciling');
  });

  test('that is refused fails at once', () => {
    const session = startSession();
    session.submit();
    session.send({ type: 'turn.refused', error: { name: 'OpencodeManagerError', code: 'NOT_FOUND', message: 'gone' } });
    expect(session.finished).toMatchObject([{ outcome: 'failed', quarantined: false, error: { code: 'NOT_FOUND' } }]);
    expect(session.path).toBe('error');
  });

  test('by the answer alone is not by the stream', () => {
    const session = startAccepted();
    expect(session.turn).toMatchObject({ accepted: true, acceptedByEvents: false });
    session.send({ type: 'turn.accepted', source: 'events' });
    session.send({ type: 'turn.accepted', source: 'answer' });
    expect(session.turn).toMatchObject({ accepted: true, acceptedByEvents: true });
  });
});
