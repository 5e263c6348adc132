import type { TaskResult } from '@opencode-manager/actors';
import { describe, expect, test } from 'vitest';
import { foldJournal, type RunMachineEvent } from '../../src/machine/index.ts';
import { added, errorOf, intended, resultOf, rowsOf, task } from '../support/facts.ts';
import { RunUnderTest, type RunOptions } from '../support/run-actor.ts';

type Spent = Pick<TaskResult, 'usage' | 'cost_usd' | 'model_calls' | 'tool_calls'>;

function spentOf(calls: number): Spent {
  const { usage } = resultOf('a', 'succeeded');
  return { usage, cost_usd: 0.5, model_calls: calls, tool_calls: 0 };
}

const unfit = ['/total must be number; received "12"'];
const of = { key: 'a', attempt: 1, token: '1.1' };

const answered = (problems: readonly string[], calls = 1): RunMachineEvent => ({
  type: 'attempt.answered',
  ...of,
  problems,
  spent: spentOf(calls),
});

const again = (messageId: string): RunMachineEvent => ({
  type: 'attempt.intended',
  ...of,
  sessionId: 'ses_a',
  messageId,
  directory: '/repo',
});

const begun = () => new RunUnderTest([task('a')]).accept('a');

describe('an answer that is to fit a schema', () => {
  test('and does: the attempt ends with it', () => {
    const run = begun().send(answered([]));
    expect(run.all('takeAnswer')).toEqual([{ key: 'a', token: '1.1', error: null }]);
    expect(run.all('repair')).toEqual([]);
  });

  test('and does not is corrected only while the run may take more', () => {
    const run = new RunUnderTest([task('a')], { limits: { timeoutMs: null, tokens: null, usd: 0.5 } }).accept('a');
    run.send(answered(unfit));
    expect([run.all('repair'), run.all('abort').map(({ key }) => key)]).toEqual([[], ['a']]);
    run.end('a', 'aborted');
    expect(run.all('ended')).toMatchObject([{ reason: 'over_budget', counts: { outcomes: { over_budget: 1 } } }]);
  });

  test('and does not is corrected twice, each prompt after its row, then the task has failed', () => {
    const run = begun();
    for (const repair of [1, 2]) {
      run.send(answered(unfit, repair));
      expect(run.fresh('repair')).toEqual([{ key: 'a', token: '1.1', problems: unfit }]);
      run.commits = false;
      run.send(again(`msg_${repair}`));
      expect(run.fresh('allowSend')).toEqual([]);
      run.commit();
      expect(run.fresh('allowSend')).toEqual([of]);
      expect(run.rows.at(-1)).toEqual({ type: 'attempt.repairing', ...of, messageId: `msg_${repair}`, repair, spent: spentOf(repair) });
      run.commits = true;
    }
    run.send(answered([...unfit, 'more'], 3));
    expect(run.all('repair')).toHaveLength(2);
    expect(run.all('takeAnswer')).toEqual([
      {
        key: 'a',
        token: '1.1',
        error: {
          ...errorOf('OUTPUT_INVALID', `The answer does not fit the output schema after 2 corrections: ${unfit[0]} (and 1 more).`),
          details: { errors: [...unfit, 'more'] },
        },
      },
    ]);
    run.end('a', 'failed', { error: errorOf('OUTPUT_INVALID') });
    expect(run.all('told')).toMatchObject([{ key: 'a', outcome: 'failed', final: true }]);
  });

  test('of an old token, or of an attempt that was not sent, changes nothing', () => {
    const run = begun().send({ ...(answered(unfit) as object), token: '0.9' } as RunMachineEvent);
    const unsent = new RunUnderTest([task('a')]).send(answered(unfit));
    expect([...run.all('repair'), ...unsent.all('repair')]).toEqual([]);
  });

  test('is not corrected any more when its attempt is to end', () => {
    const run = begun().send(answered(unfit));
    run.send({ type: 'task.cancelled', key: 'a', reason: 'Enough.' }).send(again('msg_1'));
    expect([run.all('allowSend').length, run.rows.some(({ type }) => type === 'attempt.repairing')]).toEqual([1, false]);
    run.end('a', 'aborted', { error: errorOf('TURN_ABORTED') });
    expect(run.rows.find(({ type }) => type === 'attempt.ended')).toMatchObject({
      type: 'attempt.ended',
      outcome: 'aborted',
      abortedBy: 'user',
      final: true,
    });
  });
});

describe('a manager that dies meanwhile', () => {
  const repairing = (repair: number) =>
    ({ type: 'attempt.repairing', ...of, messageId: `msg_${repair}`, repair, spent: spentOf(repair) }) as const;

  const resumed = (repairs: number, options: RunOptions = {}) => {
    const rows = Array.from({ length: repairs }, (_, index) => repairing(index + 1));
    return new RunUnderTest([task('a')], { before: [added('a'), intended('a'), ...rows], ...options });
  };

  const looked = (fate: 'finished' | 'interrupted' | 'never_started', problems?: readonly string[]): RunMachineEvent => {
    const outcome = fate === 'finished' ? 'succeeded' : 'interrupted';
    const end = { outcome, error: null, result: resultOf('a', outcome), billed: true, jitter: 0, atMs: 0 } as const;
    return { type: 'attempt.looked', ...of, fate, end, ...(problems && { problems }) };
  };

  test('the newest message is looked for; what went before it is known', () => {
    const { open } = foldJournal(rowsOf([added('a'), intended('a'), repairing(1), repairing(2)])).tasks[0]!;
    const newest = { messageId: 'msg_2', firstMessageId: 'msg_a', repairs: 2, spent: spentOf(2), accepted: false };
    expect(open).toEqual({ attempt: 1, token: '1.1', sessionId: 'ses_a', directory: '/repo', ...newest });
    expect(resumed(2).all('look')).toEqual([{ key: 'a', open, fallback: null }]);
  });

  test('an answer that has come meanwhile and fits is the result', () => {
    expect(resumed(1).send(looked('finished')).all('told')).toMatchObject([{ outcome: 'succeeded', final: true }]);
  });

  test('one that does not fit: a new attempt where it could have been corrected, else it has failed', () => {
    const first = resumed(1).send(looked('finished', unfit));
    expect(first.all('told')).toMatchObject([{ outcome: 'interrupted', final: false }]);
    expect(first.started()).toEqual(['a']);
    expect(resumed(1, { onInterrupted: 'fail' }).send(looked('finished', unfit)).all('told')).toMatchObject([
      { outcome: 'interrupted', final: true, result: { error: { code: 'TURN_INTERRUPTED' } } },
    ]);
    expect(resumed(2).send(looked('finished', unfit)).all('told')).toMatchObject([
      { outcome: 'failed', final: true, result: { error: { code: 'OUTPUT_INVALID', details: { errors: unfit } } } },
    ]);
  });

  test('a correction that broke off, or never went out, makes a new attempt of one that has been paid for', () => {
    for (const fate of ['interrupted', 'never_started'] as const) {
      const run = resumed(1).send(looked(fate));
      expect(run.rows.findLast(({ type }) => type === 'attempt.ended')).toMatchObject({
        outcome: 'interrupted',
        billed: true,
        final: false,
      });
      expect(run.started()).toEqual(['a']);
    }
  });
});
