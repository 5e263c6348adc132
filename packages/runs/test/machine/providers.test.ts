import { expect, test } from 'vitest';
import { holdOf } from '../../src/run/state.ts';
import { errorOf, resultOf, task } from '../support/facts.ts';
import { RunUnderTest, type RunOptions } from '../support/run-actor.ts';

const models = { a1: 'alpha/m', a2: 'alpha/m', a3: 'alpha/m', b1: 'beta/m', b2: 'beta/m' };

function start(options: RunOptions = {}, keys: readonly string[] = Object.keys(models)): RunUnderTest {
  return new RunUnderTest(
    keys.map((key) => task(key)),
    { concurrency: 2, models, ...options },
  );
}

const hourMs = 3_600_000;
const spent = (run: RunUnderTest, key: string, more: { readonly inMs?: number; readonly parked_ms?: number } = {}) => {
  const { inMs = hourMs, ...told } = more;
  return { result: resultOf(key, 'quota_exhausted', { reset_at: new Date(run.now + inMs).toISOString(), ...told }) };
};

test('a refusal of one provider holds its own tasks alone, and says so', () => {
  const run = start();
  expect(run.started()).toEqual(['a1', 'a2']);
  run.play('a1', 'quota_exhausted', spent(run, 'a1')).play('a2', 'quota_exhausted', spent(run, 'a2'));
  expect(run.started()).toEqual(['b1', 'b2']);
  run.play('b1', 'succeeded').play('b2', 'succeeded');
  expect([run.started(), run.context.flights]).toEqual([[], []]);
  expect(holdOf(run.context, run.now)).toMatch(/^held by alpha until \d\d:\d\d \(in 1 h 0 min\)$/);
  run.fire('alpha', hourMs + 45_000);
  expect(run.started()).toEqual(['a3']);
  run.fire('a1').fire('a2');
  expect(run.fresh('start')).toMatchObject([{ key: 'a1', attempt: 2, goesOn: { sessionId: 'ses_a1', attempt: 1 } }]);
  run.play('a1', 'succeeded');
  const rows = run.rows.filter((row) => 'key' in row && row.key === 'a1' && row.type.startsWith('attempt.'));
  expect(rows.map((row) => [row.type, 'continues' in row ? row.continues : undefined])).toEqual([
    ['attempt.intended', undefined],
    ['attempt.accepted', undefined],
    ['attempt.ended', undefined],
    ['attempt.intended', 1],
    ['attempt.accepted', undefined],
    ['attempt.ended', 1],
  ]);
});

test('what the pool allows of a provider bounds its attempts, and none of another provider', () => {
  const run = start({ concurrency: 4 }, ['a1', 'a2', 'a3', 'b1', 'b2']);
  run.send({ type: 'provider.changed', provider: 'alpha', limit: 1, heldUntilMs: null });
  expect(run.started()).toEqual(['a1', 'a2', 'a3', 'b1']);
  run.play('a1', 'succeeded').play('a2', 'succeeded');
  expect(run.started()).toEqual(['b2']);
  const paused = start({ concurrency: 1 }, ['a1', 'a2', 'b1']);
  paused.send({ type: 'provider.changed', provider: 'alpha', limit: 1, heldUntilMs: paused.now + 5000 }).play('a1', 'succeeded');
  expect(paused.started()).toEqual(['a1', 'b1']);
  paused.play('b1', 'succeeded').send({ type: 'provider.changed', provider: 'alpha', limit: 1, heldUntilMs: null });
  expect(paused.started()).toEqual(['a2']);
});

test('a park that is longer than the deadline of its task ends it at once, and so does one that nobody knows the end of', () => {
  const run = start();
  run.play('a1', 'quota_exhausted', { ...spent(run, 'a1'), timeoutMs: hourMs });
  run.play('a2', 'quota_exhausted');
  expect(run.all('told')).toMatchObject([
    { key: 'a1', outcome: 'quota_exhausted', final: true },
    { key: 'a2', outcome: 'quota_exhausted', final: true },
  ]);
  // Parks add up; no wait is longer than a day and two hours.
  const parks = start({ concurrency: 3 });
  parks.play('a1', 'quota_exhausted', { ...spent(parks, 'a1'), timeoutMs: 2 * hourMs });
  parks.play('a2', 'quota_exhausted', { ...spent(parks, 'a2', { parked_ms: hourMs }), timeoutMs: 2 * hourMs });
  parks.play('a3', 'quota_exhausted', spent(parks, 'a3', { inMs: 100 * hourMs }));
  expect(parks.all('told').map((end) => end.type === 'attempt' && [end.key, end.final, end.isParked])).toEqual([
    ['a1', false, true],
    ['a2', true, undefined],
    ['a3', false, true],
  ]);
  const timers = parks.all('schedule').filter(({ timer }) => timer.name === 'attempt');
  expect(timers.map(({ delayMs }) => delayMs)).toEqual([hourMs + 45_000, 26 * hourMs]);
});

test('a task goes on where it was until something was sent there; where that is gone it begins anew', () => {
  const run = start({ concurrency: 1, quota: { marginMs: 0, jitterMs: 0, longestMs: hourMs } }, ['a1']);
  run.play('a1', 'quota_exhausted', spent(run, 'a1')).fire('alpha', hourMs).fire('a1');
  // The server is lost before the prompt went out.
  run.end('a1', 'server_lost', { billed: false, error: errorOf('SERVER_EXITED') }).fire('a1', 1000);
  expect(run.all('start').map(({ attempt, goesOn }) => [attempt, goesOn?.attempt])).toEqual([
    [1, undefined],
    [2, 1],
    [3, 1],
  ]);
  run.end('a1', 'failed', { billed: false, error: errorOf('WORKSPACE_GONE') });
  expect(run.rows.at(-1)).toMatchObject({ type: 'attempt.ended', outcome: 'interrupted', counts: 'none', final: false, gone: true });
  expect(run.all('start').at(-1)).toMatchObject({ attempt: 4, goesOn: null });
  expect(run.play('a1', 'succeeded').all('ended')).toMatchObject([{ reason: 'done' }]);
});

test('a manager that takes the run up holds the account, and its parked tasks go on at the same time in the same session', () => {
  const first = start({ concurrency: 1 }, ['a1', 'a2', 'b1']);
  first.play('a1', 'quota_exhausted', spent(first, 'a1'));
  const next = start({ before: first.rows, concurrency: 3 }, ['a1', 'a2', 'b1']);
  expect(next.started()).toEqual(['b1']);
  next.fire('alpha', hourMs + 45_000).fire('a1');
  expect(next.all('start').slice(1)).toMatchObject([{ key: 'a2' }, { key: 'a1', goesOn: { sessionId: 'ses_a1' } }]);
});

test('with fail a spent quota is the end of a task, its reset known or not', () => {
  const run = start({ onQuota: 'fail' });
  run.play('a1', 'quota_exhausted', spent(run, 'a1'));
  expect(run.all('told')).toMatchObject([{ key: 'a1', final: true }]);
});

test('with a fallback a task begins anew with that model, others of the account do so at once, and a resume knows it', () => {
  const onQuota = { fallback: 'beta/m' };
  const run = start({ onQuota, concurrency: 1 }, ['a1', 'a2', 'b1']);
  run.play('a1', 'quota_exhausted', spent(run, 'a1'));
  expect(run.all('start').at(-1)).toMatchObject({ key: 'a1', attempt: 2, goesOn: null, fallback: 'beta/m' });
  run.play('a1', 'succeeded');
  expect(run.all('start').at(-1)).toMatchObject({ key: 'a2', attempt: 1, fallback: 'beta/m' });
  run.accept('a2').end('a2', 'failed');
  run.play('b1', 'quota_exhausted', spent(run, 'b1'));
  // It asks that model already: it waits.
  expect(run.all('told').at(-1)).toMatchObject({ key: 'b1', final: false, isParked: true });
  const rows = run.rows.filter(({ type }) => type === 'attempt.intended');
  expect(rows.map((row) => 'fallback' in row && row.fallback)).toEqual([false, 'beta/m', 'beta/m', false]);
  // A user who will not wait any longer.
  const waiting = start({ concurrency: 1 }, ['a1']);
  waiting.play('a1', 'quota_exhausted', spent(waiting, 'a1'));
  const resumed = start({ before: waiting.rows, onQuota }, ['a1']);
  expect(resumed.all('start')).toMatchObject([{ key: 'a1', attempt: 2, goesOn: null, fallback: 'beta/m' }]);
});

test('a user pauses a provider and resumes it, which wakes what is parked', () => {
  const run = start({ concurrency: 1 }, ['a1', 'b1', 'a2', 'a3']);
  run.send({ type: 'provider.paused', provider: 'beta' }).play('a1', 'quota_exhausted', spent(run, 'a1'));
  expect(run.started()).toEqual(['a1']);
  expect(holdOf(run.context, run.now)).toMatch(/^beta is paused by its user; held by alpha until /);
  run.send({ type: 'provider.resumed', provider: 'alpha', atMs: run.now });
  expect(run.fresh('start')).toMatchObject([{ key: 'a1', goesOn: { sessionId: 'ses_a1' } }]);
  run.play('a1', 'succeeded').send({ type: 'provider.resumed', provider: 'beta', atMs: run.now });
  expect(run.started()).toEqual(['a2']);
  // The timer of the quota that was lifted changes nothing.
  run.fire('alpha', 2 * hourMs).play('a2', 'succeeded');
  expect(run.started()).toEqual(['b1']);
});
