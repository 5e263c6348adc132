import { describe, expect, test } from 'vitest';
import type { RunLimits } from '../../src/machine/index.ts';
import { added, ended, resultOf, task } from '../support/facts.ts';
import { RunUnderTest, type RunOptions } from '../support/run-actor.ts';

const keys = (count: number) => Array.from({ length: count }, (_, index) => `t${index + 1}`);

function start(count: number, limits: Partial<RunLimits>, options: RunOptions = {}): RunUnderTest {
  const none = { timeoutMs: null, tokens: null, usd: null };
  return new RunUnderTest(
    keys(count).map((key) => task(key)),
    { ...options, limits: { ...none, ...limits } },
  );
}

const taken = (key: string, tokens: number, usd = 0) =>
  resultOf(key, 'succeeded', {
    cost_usd: usd,
    usage: { input_tokens: tokens, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 9, cache_write_tokens: 9 },
  });

/** A whole attempt that takes so many tokens. */
const play = (run: RunUnderTest, key: string, tokens: number, usd = 0) => run.play(key, 'succeeded', { result: taken(key, tokens, usd) });

describe('a budget of the run', () => {
  test('ends what is in flight once it is spent, and the rest stays not started', () => {
    const run = start(4, { tokens: 1000 }, { concurrency: 2 });
    run.accept('t1').accept('t2').spend('t1', 600).spend('t2', 390);
    expect(run.all('abort')).toEqual([]);
    run.spend('t2', 400);
    expect(run.all('abort').map(({ key }) => key)).toEqual(['t1', 't2']);
    run.end('t1', 'aborted', { result: taken('t1', 600) }).end('t2', 'aborted', { result: taken('t2', 450) });
    const [{ reason, why, counts }] = run.all('ended') as [ReturnType<typeof run.all<'ended'>>[0]];
    expect([reason, why]).toEqual(['over_budget', 'The run has used 1000 tokens of 1000 tokens.']);
    expect(counts).toMatchObject({ outcomes: { over_budget: 2 }, notStarted: 2 });
    expect(run.rows.filter(({ type }) => type === 'attempt.ended')).toMatchObject([
      { outcome: 'over_budget', final: false, counts: 'none', abortedBy: 'manager', error: { code: 'BUDGET_SPENT' } },
      { outcome: 'over_budget', final: false },
    ]);
  });

  test('reserves what attempts take as a rule, and ends when that is more than is left', () => {
    const run = start(5, { tokens: 1000 }, { concurrency: 3 });
    run.fresh('start');
    play(run, 't1', 250);
    // 250 are taken, 250 expected of each of two, and 250 of a third would reach the limit.
    expect(run.started()).toEqual([]);
    play(run, 't2', 250);
    play(run, 't3', 50);
    // 550 are taken: one of 250 fits.
    expect(run.started()).toEqual(['t4']);
    play(run, 't4', 250);
    expect(run.started()).toEqual([]);
    expect(run.all('ended')).toMatchObject([{ reason: 'over_budget', counts: { outcomes: { succeeded: 4 }, notStarted: 1 } }]);
  });

  test('warns once at four fifths, and lets nothing start at nine tenths', () => {
    const run = start(3, { usd: 1 }, { concurrency: 2 });
    run.accept('t1').accept('t2').spend('t1', 0, { usd: 0.5 }).spend('t2', 0, { usd: 0.29 });
    expect(run.all('warn')).toEqual([]);
    run.spend('t2', 0, { usd: 0.3 }).spend('t2', 0, { usd: 0.45 });
    expect(run.all('warn')).toEqual([{ name: 'usd', limit: 1, spent: 0.8 }]);
    run.end('t1', 'failed', { result: taken('t1', 0, 0.5) });
    expect(run.started()).not.toContain('t3');
    run.end('t2', 'succeeded', { result: taken('t2', 0, 0.45) });
    expect(run.all('ended')).toMatchObject([{ reason: 'over_budget', counts: { notStarted: 1 } }]);
  });

  test('reached with the last step of a turn ends what else runs, once that turn has ended', () => {
    const run = start(3, { tokens: 1000 }, { concurrency: 2 });
    run.accept('t1').accept('t2').spend('t2', 300).spend('t1', 800, { isLast: true });
    expect(run.all('abort')).toEqual([]);
    run.end('t1', 'succeeded', { result: taken('t1', 800) });
    expect(run.all('abort').map(({ key }) => key)).toEqual(['t2']);
    run.end('t2', 'aborted', { result: taken('t2', 300) });
    expect(run.all('ended')).toMatchObject([{ reason: 'over_budget', counts: { outcomes: { succeeded: 1, over_budget: 1 } } }]);
  });

  test('that the last task has spent ends no run that is done', () => {
    const run = start(1, { tokens: 100 });
    play(run, 't1', 120);
    expect(run.all('ended')).toMatchObject([{ reason: 'done', why: null }]);
  });

  test('counts what earlier managers have taken, and goes on when it is raised', () => {
    const before = [added('t1'), added('t2'), ended('t1', 'succeeded', { result: taken('t1', 1000) })];
    expect(start(2, { tokens: 1000 }, { before }).all('ended')).toMatchObject([{ reason: 'over_budget' }]);
    const raised = start(2, { tokens: 3000 }, { before });
    expect(raised.started()).toEqual(['t2']);
  });

  test('changes while the run is on: raised it frees what waits, lowered it ends what runs only by force', () => {
    const run = start(3, { tokens: 100 }, { concurrency: 2 });
    run.accept('t1').accept('t2').spend('t1', 50);
    const change = (tokens: number, enforce = false) => run.send({ type: 'limits.changed', limits: { tokens }, enforce, atMs: run.now });
    change(40);
    run.spend('t1', 60);
    expect(run.all('abort')).toEqual([]);
    change(1000);
    run.end('t1', 'succeeded', { result: taken('t1', 60) });
    expect(run.started()).toContain('t3');
    change(40, true);
    expect(run.all('abort').map(({ key }) => key)).toEqual(['t2', 't3']);
  });
});

describe('the time of the run', () => {
  test('ends what is in flight; a timer that fires early waits on', () => {
    const run = start(2, { timeoutMs: 5000 }, { concurrency: 1 });
    run.accept('t1').fire('run.deadline', 4999);
    expect(run.all('abort')).toEqual([]);
    run.fire('run.deadline', 1);
    run.end('t1', 'aborted');
    expect(run.all('ended')).toMatchObject([{ reason: 'timed_out', counts: { outcomes: { aborted: 1 }, notStarted: 1 } }]);
  });
});
