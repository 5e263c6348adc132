import { describe, expect, test } from 'vitest';
import { childAsk, rootAsk, startRunning } from '../support/session-actor.ts';

describe('an ask', () => {
  test('is given to be answered when it opens', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: rootAsk });
    expect(session.path).toBe('active.awaitingInput');
    expect(session.answered).toEqual([['per_1']]);
    session.send({ type: 'ask.closed', id: 'per_1' });
    expect(session.path).toBe('active.running');
  });

  test('is open once, however often it is told', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.pass(100);
    session.send({ type: 'ask.opened', ask: rootAsk });
    expect(session.turn?.openAsks).toMatchObject([{ id: 'per_1', atMs: 1004 }]);
  });

  test('that was closed before its event came stays closed', () => {
    const session = startRunning();
    session.send({ type: 'ask.closed', id: 'per_1' });
    session.send({ type: 'ask.opened', ask: rootAsk });
    expect(session.path).toBe('active.running');
  });

  test('takes back the idle that was told before it: who asks is not idle', () => {
    const session = startRunning();
    session.final('msg_11', 'tool-calls');
    session.pass();
    session.send({ type: 'session.idle' });
    session.send({ type: 'ask.opened', ask: rootAsk });
    expect(session.turn?.idle).toBeNull();
    expect(session.path).toBe('active.awaitingInput');
  });

  test('of an earlier turn is not answered, told or read', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.send({ type: 'turn.abort' });
    session.final('msg_11', null, { error: { kind: 'aborted', name: 'MessageAbortedError', message: 'Aborted' } });
    session.pass();
    session.send({ type: 'session.idle' });
    session.send({ type: 'ask.opened', ask: { ...rootAsk, id: 'per_2' } });
    session.submit(2);
    session.pass();
    session.send({ type: 'turn.accepted', source: 'answer' });
    session.send({ type: 'session.busy' });
    session.start('msg_21', 'msg_20');
    session.answered.length = 0;
    const past = [rootAsk, { ...rootAsk, id: 'per_2' }];
    for (const ask of past) session.send({ type: 'ask.opened', ask });
    session.read({ newest: { id: 'msg_21' }, status: 'busy', asks: past });
    expect(session.turn?.openAsks).toEqual([]);
    session.send({ type: 'ask.opened', ask: { ...rootAsk, id: 'per_3' } });
    expect(session.answered).toEqual([['per_3']]);
  });
});

describe('an ask of a sub-agent that is told quiet', () => {
  test('is looked at: nobody waits for it any more', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: childAsk });
    session.pass();
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    expect(session.path).toBe('active.reconciling');
    session.read({ newest: { id: 'msg_11' }, status: 'busy', quiet: ['ses_child'], asks: [childAsk] });
    expect(session.path).toBe('active.running');
    expect(session.turn?.openAsks).toEqual([]);
  });

  test('is left alone while the turn is aborted', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: childAsk });
    session.send({ type: 'turn.abort' });
    session.send({ type: 'child.quiet', sessionId: 'ses_child' });
    expect(session.path).toBe('active.aborting');
  });
});

describe('the deadline of asks', () => {
  test('ends the turn as needs_input, and names the rules that would have allowed it', () => {
    const session = startRunning({ limits: { askTimeoutMs: 5000 } });
    session.send({ type: 'ask.opened', ask: childAsk });
    session.pass(4999);
    expect(session.path).toBe('active.awaitingInput');
    session.pass(1);
    expect(session.path).toBe('active.aborting');
    const rules = [{ permission: 'bash', pattern: 'rm -r x', action: 'allow' }];
    expect(session.turn?.decision).toMatchObject({ outcome: 'needs_input', error: { code: 'INPUT_NEEDED', details: { rules } }, rules });
  });

  test('is that of the ask that was opened first', () => {
    const session = startRunning({ limits: { askTimeoutMs: 5000 } });
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.pass(3000);
    session.send({ type: 'ask.opened', ask: { ...rootAsk, id: 'per_2' } });
    session.pass(1000);
    session.send({ type: 'ask.closed', id: 'per_1' });
    session.pass(3999);
    expect(session.turn?.decision).toBeNull();
    session.pass(1);
    expect(session.turn?.decision?.outcome).toBe('needs_input');
  });

  test('is over with the ask', () => {
    const session = startRunning({ limits: { askTimeoutMs: 5000 } });
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.pass(4000);
    session.send({ type: 'ask.closed', id: 'per_1' });
    session.pass(5000);
    expect(session.turn?.decision).toBeNull();
  });

  test('runs on while the stream is down', () => {
    const session = startRunning({ answerRead: () => ({ newest: { id: 'msg_11' }, status: 'busy', asks: [rootAsk] }) });
    session.send({ type: 'ask.opened', ask: rootAsk });
    session.send({ type: 'stream.gap' });
    session.pass(59_999);
    expect(session.turn?.decision).toBeNull();
    session.pass(1);
    expect(session.turn?.decision?.outcome).toBe('needs_input');
  });

  test('runs for an ask that only reads show', () => {
    const session = startRunning({ answerRead: () => ({ newest: { id: 'msg_11' }, status: 'busy', asks: [rootAsk] }) });
    session.send({ type: 'stream.gap' });
    session.pass(60_012);
    expect(session.turn?.decision?.outcome).toBe('needs_input');
  });

  test('of a question needs input too, without rules', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: { id: 'que_1', kind: 'question', sessionId: 'ses_root' } });
    session.pass(60_000);
    expect(session.turn?.decision).toMatchObject({ outcome: 'needs_input', error: { code: 'INPUT_NEEDED' } });
    expect(session.turn?.decision).not.toHaveProperty('rules');
  });
});
