import type { TurnError } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import type { FinalFacts, Turn } from '../../src/machines/index.ts';
import { rootAsk, startRunning } from '../support/session-actor.ts';

type Answer = Partial<FinalFacts> & { readonly error?: TurnError };

/** A turn that ended so, proven by the events where they can, else by reads. */
function endWith({ finish, ...answer }: Answer, turn: { kind?: Turn['kind']; emptyAnswer?: Turn['emptyAnswer'] } = {}) {
  const session = startRunning({}, turn);
  const final = { id: 'msg_11', ended: true, ...answer, ...(finish !== undefined && { finish }) };
  const { id, ended: _, ...facts } = final;
  session.send({ type: 'message.finalised', message: { id, parentId: 'msg_10', hasText: true, hasToolResult: false, ...facts } });
  session.pass();
  session.send({ type: 'session.idle' });
  for (let reads = 0; session.turn !== null && reads < 3; reads += 1) session.read({ newest: final });
  return session;
}

const provider = (message: string, statusCode?: number): TurnError => ({
  kind: 'provider',
  name: 'APIError',
  message,
  ...(statusCode !== undefined && { statusCode }),
});

const table: readonly { name: string; answer: Answer; outcome: string; code: string | undefined; notes?: number }[] = [
  { name: 'stop with text', answer: { finish: 'stop' }, outcome: 'succeeded', code: undefined },
  { name: 'stop without text', answer: { finish: 'stop', hasText: false }, outcome: 'failed', code: 'ANSWER_EMPTY' },
  {
    name: 'stop without text after a tool gave a result',
    answer: { finish: 'stop', hasText: false, hasToolResult: true },
    outcome: 'failed',
    code: 'ANSWER_EMPTY',
  },
  { name: 'length', answer: { finish: 'length' }, outcome: 'failed', code: 'ANSWER_TRUNCATED' },
  { name: 'content-filter', answer: { finish: 'content-filter' }, outcome: 'failed', code: 'ANSWER_FILTERED' },
  { name: 'error', answer: { finish: 'error' }, outcome: 'failed', code: 'TURN_FAILED' },
  { name: 'unknown with text', answer: { finish: 'unknown' }, outcome: 'succeeded', code: undefined, notes: 1 },
  { name: 'unknown without text', answer: { finish: 'unknown', hasText: false }, outcome: 'failed', code: 'ANSWER_EMPTY' },
  { name: 'tool-calls', answer: { finish: 'tool-calls' }, outcome: 'interrupted', code: 'TURN_INTERRUPTED' },
  { name: 'no reason', answer: {}, outcome: 'interrupted', code: 'TURN_INTERRUPTED' },
  { name: "the provider's error", answer: { error: provider('no', 400) }, outcome: 'failed', code: 'TURN_FAILED' },
  { name: 'too many requests', answer: { error: provider('slow down', 429) }, outcome: 'quota_exhausted', code: 'QUOTA_EXHAUSTED' },
  {
    name: 'a spent quota, by its words',
    answer: { error: provider('You exceeded your current quota') },
    outcome: 'quota_exhausted',
    code: 'QUOTA_EXHAUSTED',
  },
  {
    name: 'the words of a quota in an error that is not the provider’s',
    answer: { error: { kind: 'other', name: 'UnknownError', message: 'quota.ts not found' } },
    outcome: 'failed',
    code: 'TURN_FAILED',
  },
  {
    name: "somebody else's abort",
    answer: { error: { kind: 'aborted', name: 'MessageAbortedError', message: 'Aborted' } },
    outcome: 'aborted',
    code: 'TURN_ABORTED',
  },
];

describe('how a turn that ended by itself is judged', () => {
  test.each(table)('$name: $outcome', ({ answer, outcome, code, notes = 0 }) => {
    const { finished, path } = endWith(answer);
    expect(finished).toMatchObject([{ outcome, quarantined: false, finish: answer.finish ?? null, finalMessageId: 'msg_11' }]);
    expect(finished[0]?.error?.code).toBe(code);
    expect(finished[0]?.notes).toHaveLength(notes);
    expect(finished[0]?.proof).not.toBeNull();
    expect(path).toBe(outcome === 'succeeded' || outcome === 'aborted' ? 'idle' : 'error');
  });

  test('an empty answer is good where the task says so, and a cut one is not', () => {
    expect(endWith({ finish: 'stop', hasText: false }, { emptyAnswer: 'allow' }).finished).toMatchObject([{ outcome: 'succeeded' }]);
    expect(endWith({ finish: 'length', hasText: false }, { emptyAnswer: 'allow' }).finished).toMatchObject([{ outcome: 'failed' }]);
  });

  test('a shell line ends without a reason, and one read is enough: no model goes on', () => {
    const session = startRunning({}, { kind: 'shell' });
    session.final('msg_11', null, { hasText: false });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.path).toBe('active.settling');
    session.pass(0);
    expect(session.requests).toEqual([{ history: true, descendants: false }]);
    session.read({ newest: { id: 'msg_11', ended: true, hasText: false, exitCode: 0 } });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded', error: null }]);
  });

  test.each([
    [3, 'The shell line ended with exit code 3.'],
    [null, 'The shell line left no exit code: its syntax is wrong, or its shell was ended.'],
  ])('a shell line with the exit code %s has failed', (exitCode, message) => {
    const session = startRunning({}, { kind: 'shell' });
    session.final('msg_11', null, { hasText: false });
    session.pass();
    session.send({ type: 'session.idle' });
    session.pass(0);
    session.read({ newest: { id: 'msg_11', ended: true, hasText: false, exitCode } });
    expect(session.finished).toMatchObject([{ outcome: 'failed', error: { code: 'SHELL_FAILED', message, details: { exitCode } } }]);
  });

  test('a quota names the time of the last retry, unless that is over', () => {
    const end = (nextAtMs: number) => {
      const session = startRunning();
      session.send({ type: 'session.retrying', retry: { attempt: 1, message: 'Rate limit', nextAtMs } });
      session.send({ type: 'session.busy' });
      session.pass(5000);
      session.final('msg_11', null, { error: provider('Rate limit', 429) });
      session.pass();
      session.send({ type: 'session.idle' });
      return session.finished[0];
    };
    expect(end(60_000)).toMatchObject({ outcome: 'quota_exhausted', resetAtMs: 60_000, retries: 1 });
    expect(end(2000)).toMatchObject({ outcome: 'quota_exhausted', resetAtMs: null });
  });

  test('a refusal that names the time itself is no less a quota when that is over', () => {
    const session = startRunning();
    session.final('msg_11', null, { error: { ...provider('Usage limit reached', 429), resetAtMs: 1 } });
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'quota_exhausted', resetAtMs: 1 }]);
  });

  test.each([null, 'tool-calls'])('a turn that ends on a rejected question needs input (finish %s)', (finish) => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: { id: 'que_1', kind: 'question', sessionId: 'ses_root' } });
    session.send({ type: 'ask.closed', id: 'que_1', rejectedQuestion: true });
    session.final('msg_11', finish);
    session.pass();
    session.send({ type: 'session.idle' });
    const newest = { id: 'msg_11', ended: true, ...(finish !== null && { finish }) };
    session.read({ newest });
    session.read({ newest });
    expect(session.finished).toMatchObject([{ outcome: 'needs_input', error: { code: 'INPUT_NEEDED' } }]);
  });

  test('a question that was rejected is forgotten when the model answers all the same', () => {
    const session = startRunning();
    session.send({ type: 'ask.opened', ask: { ...rootAsk, kind: 'question' } });
    session.send({ type: 'ask.closed', id: 'per_1', rejectedQuestion: true });
    session.final('msg_11');
    session.pass();
    session.send({ type: 'session.idle' });
    expect(session.finished).toMatchObject([{ outcome: 'succeeded' }]);
  });
});
