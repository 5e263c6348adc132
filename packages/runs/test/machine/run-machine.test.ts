import { expect, test } from 'vitest';
import { foldJournal, planResume, type SourceTask } from '../../src/machine/index.ts';
import { added, ended, errorOf, intended, resultOf, rowsOf, task } from '../support/facts.ts';
import { RunUnderTest, type RunOptions } from '../support/run-actor.ts';

function start(keys: readonly string[], options: RunOptions = {}, more: Partial<SourceTask> = {}): RunUnderTest {
  return new RunUnderTest(
    keys.map((key) => task(key, more)),
    options,
  );
}

/** The reason and the counts of each end that a run told. */
function outcomesOf(run: RunUnderTest) {
  return run.all('ended').map(({ reason, counts }) => Object.assign({ reason }, counts));
}

const counted = { skipped: 0, notStarted: 0, reused: 0, dropped: 0, succeededFirstTry: 0, succeededAfterRetry: 0 };

test('nothing starts before the row of the manager is committed', () => {
  const run = start(['a'], { commits: false });
  expect([run.state, run.started()]).toEqual(['opening', []]);
  run.commit();
  expect([run.state, run.started()]).toEqual(['running', ['a']]);
});

test('tasks start in the order of the source, as many at once as may', () => {
  const run = start(['c', 'a', 'b'], { concurrency: 2 });
  expect(run.started()).toEqual(['c', 'a']);
  run.play('a', 'succeeded');
  expect(run.started()).toEqual(['b']);
});

test('concurrency changes while the run is on: raising starts more, lowering ends nothing', () => {
  const run = start(['a', 'b', 'c', 'd'], { concurrency: 1 });
  run.send({ type: 'concurrency.changed', concurrency: 3 });
  expect(run.started()).toEqual(['a', 'b', 'c']);
  run.send({ type: 'concurrency.changed', concurrency: 1 }).play('a', 'succeeded').play('b', 'succeeded');
  expect([run.started(), run.all('abort')]).toEqual([[], []]);
  run.play('c', 'succeeded');
  expect(run.started()).toEqual(['d']);
});

test('a prompt goes out once the row of its intent is committed, and only then', () => {
  const run = start(['a']);
  run.commits = false;
  run.intend('a');
  expect(run.fresh('allowSend')).toEqual([]);
  run.commit();
  expect(run.rows.at(-1)).toMatchObject({ type: 'attempt.intended', key: 'a', attempt: 1, token: '1.1' });
  expect(run.fresh('allowSend')).toEqual([{ key: 'a', attempt: 1, token: '1.1' }]);
});

test('an intent that is told twice is committed once', () => {
  const run = start(['a']).intend('a').intend('a');
  expect(run.rows.filter(({ type }) => type === 'attempt.intended')).toHaveLength(1);
  expect(run.all('allowSend')).toHaveLength(1);
});

test('an end is told, and its slot freed, once its row is committed', () => {
  const run = start(['a', 'b'], { concurrency: 1 }).accept('a');
  run.fresh('start');
  run.commits = false;
  run.end('a', 'succeeded');
  expect([run.all('told'), run.started()]).toEqual([[], []]);
  run.commit();
  expect(run.all('told')).toEqual([
    { type: 'attempt', key: 'a', attempt: 1, outcome: 'succeeded', final: true, result: resultOf('a', 'succeeded') },
  ]);
  expect(run.all('start').map(({ key }) => key)).toEqual(['a', 'b']);
});

test('rows that come while a batch is under way wait for it, and go together', () => {
  const run = start(['a', 'b', 'c']);
  run.commits = false;
  run.intend('a').intend('b').intend('c');
  expect(run.all('commit').at(-1)!.events).toHaveLength(1);
  run.commit();
  expect(run.context.committing!.events.map((event) => 'key' in event && event.key)).toEqual(['b', 'c']);
});

test('an end under an old token counts for nothing, and is written down', () => {
  const run = start(['a'], { before: [added('a'), ended('a', 'aborted', { final: false, counts: 'none' })] });
  const end = { outcome: 'succeeded', error: null, result: resultOf('a', 'succeeded'), billed: true, jitter: 0, atMs: 0 } as const;
  run.send({ type: 'attempt.ended', key: 'a', attempt: 1, token: '1.1', ...end });
  expect(run.rows.at(-1)).toEqual({ type: 'attempt.superseded', key: 'a', attempt: 1, token: '1.1', outcome: 'succeeded' });
  expect(run.all('told')).toEqual([]);
  run.play('a', 'succeeded').send({ type: 'attempt.ended', key: 'z', attempt: 1, token: '9.9', ...end });
  expect(run.rows.filter(({ type }) => type === 'attempt.superseded')).toHaveLength(1);
});

test('a task has its own tries, with a delay that doubles', () => {
  const run = start(['a'], {}, { retries: 2 });
  run.play('a', 'failed', { jitter: 1 });
  expect(run.fresh('schedule')).toEqual([{ timer: { name: 'attempt', key: 'a' }, delayMs: 1200 }]);
  run.fire('a').play('a', 'stalled');
  expect(run.fresh('schedule')[0]!.delayMs).toBe(2000);
  run.fire('a').play('a', 'timed_out');
  expect(run.all('told').map((end) => end.type === 'attempt' && [end.attempt, end.outcome, end.final])).toEqual([
    [1, 'failed', false],
    [2, 'stalled', false],
    [3, 'timed_out', true],
  ]);
  expect(outcomesOf(run)).toEqual([{ reason: 'done', total: 1, outcomes: { timed_out: 1 }, ...counted }]);
});

test('tries of the infrastructure and of the task are never charged to each other', () => {
  const run = start(['a'], { infrastructureTries: 2 }, { retries: 1 });
  run.play('a', 'interrupted').fire('a').play('a', 'failed').fire('a').play('a', 'interrupted').fire('a').play('a', 'succeeded');
  const ends = run.rows.filter((row) => row.type === 'attempt.ended');
  expect(ends.map(({ counts, final }) => [counts, final])).toEqual([
    ['infrastructure', false],
    ['task', false],
    ['infrastructure', false],
    ['task', true],
  ]);
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', succeededFirstTry: 0, succeededAfterRetry: 1 });
  // A full disk under its server is not the fault of a task.
  const full = start(['a'], { infrastructureTries: 1 });
  full.play('a', 'failed', { isMachineFault: true }).fire('a').play('a', 'succeeded');
  expect(outcomesOf(full)[0]).toMatchObject({ outcomes: { succeeded: 1 }, succeededFirstTry: 1 });

  const lost = start(['a'], { infrastructureTries: 1 }, { retries: 9 });
  lost.play('a', 'interrupted').fire('a').play('a', 'interrupted');
  expect(outcomesOf(lost)[0]).toMatchObject({ outcomes: { interrupted: 1 } });
});

test('an end by a signal takes no try, and the task runs when the run is resumed', () => {
  const run = start(['a', 'b'], { concurrency: 1 }).accept('a').send({ type: 'run.abort', reason: 'SIGINT' });
  expect(run.fresh('abort')).toEqual([{ key: 'a', token: '1.1', reason: 'SIGINT' }]);
  run.end('a', 'aborted');
  expect(outcomesOf(run)).toEqual([{ reason: 'aborted', total: 2, outcomes: { aborted: 1 }, ...counted, notStarted: 1 }]);
  const again = start(['a', 'b'], { before: run.rows });
  expect(again.started()).toEqual(['a', 'b']);
  expect(again.context.flights[0]).toMatchObject({ attempt: 2, token: '2.1' });
});

test('a task that a user aborts does not run again by itself', () => {
  const run = start(['a']).accept('a').send({ type: 'task.cancelled', key: 'a', reason: 'no' }).end('a', 'aborted');
  expect(run.rows.find((row) => row.type === 'attempt.ended')).toMatchObject({ abortedBy: 'user', counts: 'none', final: true });
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', outcomes: { aborted: 1 } });
});

test('a task that waits is cancelled by a row of its own; what comes after it is skipped, also when the run is resumed', () => {
  const tasks = [task('a'), task('b'), task('c', { after: ['b'] })];
  const run = new RunUnderTest(tasks, { concurrency: 1 }).send({ type: 'task.cancelled', key: 'b', reason: 'no' });
  run.send({ type: 'task.cancelled', key: 'b', reason: 'no' }).play('a', 'succeeded');
  expect(run.rows.filter(({ type }) => type.startsWith('task.') && type !== 'task.added')).toEqual([
    { type: 'task.cancelled', key: 'b' },
    { type: 'task.skipped', key: 'c', blockedBy: 'b' },
  ]);
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', outcomes: { succeeded: 1 }, skipped: 2, notStarted: 0 });
  expect(planResume(foldJournal(rowsOf(run.rows)), tasks, {}).plan!.lines.map(({ decision }) => decision)).toEqual([
    'reuse',
    'skip',
    'skip',
  ]);
  const retried = planResume(foldJournal(rowsOf(run.rows)), tasks, { retryErrors: ['aborted'] });
  expect(retried.plan!.lines.map(({ decision }) => decision)).toEqual(['reuse', 'run', 'run']);
});

test('a task that has failed is tried again in the same run, with what was skipped because of it', () => {
  const tasks = [task('a'), task('b', { after: ['a'] }), task('c')];
  const run = new RunUnderTest(tasks, { concurrency: 2 }).play('a', 'failed');
  run.started();
  for (const key of ['b', 'c']) run.send({ type: 'task.requeued', key });
  expect(run.rows.some(({ type }) => type === 'task.requeued')).toBe(false);
  run.send({ type: 'task.requeued', key: 'a' });
  expect(run.rows.flatMap((row) => (row.type === 'task.requeued' ? [row.key] : []))).toEqual(['a', 'b']);
  expect(run.started()).toEqual(['a']);
  run.play('a', 'succeeded').play('b', 'succeeded').send({ type: 'task.requeued', key: 'a' }).play('c', 'succeeded');
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', outcomes: { succeeded: 3 }, skipped: 0 });
});

test('fewer attempts at once abort none, unless that is enforced: the newest run again', () => {
  const run = start(['a', 'b', 'c'], { concurrency: 3 }).accept('a').accept('b').accept('c');
  run.send({ type: 'concurrency.changed', concurrency: 2 });
  expect(run.all('abort')).toEqual([]);
  run.send({ type: 'concurrency.changed', concurrency: 1, enforces: true });
  expect(run.all('abort').map(({ key }) => key)).toEqual(['b', 'c']);
  run.started();
  run.end('b', 'aborted').end('c', 'aborted');
  expect(run.started()).toEqual([]);
  run.end('a', 'succeeded');
  expect(run.started()).toEqual(['b']);
  expect(run.rows.filter((row) => row.type === 'attempt.ended').map(({ key, final }) => [key, final])).toEqual([
    ['b', false],
    ['c', false],
    ['a', true],
  ]);
});

test('an abort before the row of the intent is committed lets no prompt out', () => {
  const run = start(['a']);
  run.commits = false;
  run.intend('a').send({ type: 'run.abort', reason: 'SIGINT' }).commit();
  expect([run.all('abort').length, run.all('allowSend')]).toEqual([1, []]);
});

test('dependents start once all that they come after has succeeded', () => {
  const run = new RunUnderTest([task('c', { after: ['a', 'b'] }), task('a'), task('b')]);
  expect(run.started()).toEqual(['a', 'b']);
  run.play('a', 'succeeded');
  expect(run.started()).toEqual([]);
  run.play('b', 'succeeded');
  expect(run.started()).toEqual(['c']);
});

test('dependents of what did not succeed are skipped, the ones behind them too, and each says by whom', () => {
  const run = new RunUnderTest([task('a'), task('b', { after: ['a'] }), task('c', { after: ['b'] }), task('d')]);
  run.play('a', 'failed');
  expect(run.all('told').slice(1)).toEqual([
    { type: 'skipped', key: 'b', blockedBy: 'a' },
    { type: 'skipped', key: 'c', blockedBy: 'b' },
  ]);
  run.play('d', 'succeeded');
  const outcomes = { failed: 1, succeeded: 1 };
  expect(outcomesOf(run)).toEqual([{ reason: 'done', total: 4, outcomes, ...counted, skipped: 2, succeededFirstTry: 1 }]);
});

test('a task that comes after two which fail at once is skipped once', () => {
  const run = new RunUnderTest([task('a'), task('b'), task('c', { after: ['a', 'b'] })]).accept('a').accept('b');
  run.commits = false;
  run.end('a', 'failed').end('b', 'failed').commit().commit();
  run.commits = true;
  run.commit();
  expect(run.rows.filter(({ type }) => type === 'task.skipped')).toHaveLength(1);
  expect(run.state).toBe('ended');
});

test.each([
  ['paused', { type: 'run.pause' }, { type: 'run.resume' }],
  ['full storage', { type: 'storage.full', atMs: 0 }, { type: 'storage.free', atMs: 0 }],
  ['without a server', { type: 'server.died', error: errorOf('SERVER_EXITED'), atMs: 0 }, { type: 'server.ready', atMs: 0 }],
] as const)('%s: nothing starts until it is over', (_name, begin, over) => {
  const run = start(['a', 'b'], { concurrency: 1 }).accept('a');
  run.fresh('start');
  run.send(begin).end('a', 'succeeded');
  expect(run.started()).toEqual([]);
  run.send(over);
  expect(run.started()).toEqual(['b']);
});

test('a drained run takes no more, not even another try, and says what was not started', () => {
  const run = start(['a', 'b'], { concurrency: 1 }, { retries: 1 }).accept('a').send({ type: 'run.drain' });
  expect([run.state, run.all('abort')]).toEqual(['ending', []]);
  run.end('a', 'failed');
  expect(outcomesOf(run)).toEqual([{ reason: 'drained', total: 2, outcomes: { failed: 1 }, ...counted, notStarted: 1 }]);
  expect(start(['a', 'b'], { before: run.rows }, { retries: 1 }).started()).toEqual(['a', 'b']);
});

test('a run that is drained when its last task ends is done', () => {
  const run = start(['a']).accept('a').send({ type: 'run.drain' }).end('a', 'succeeded');
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', succeededFirstTry: 1 });
});

test('fail fast takes no more after a failure that is final, or aborts what runs', () => {
  const soon = start(['a', 'b', 'c', 'd'], { concurrency: 2, failFast: 'soon' }, { retries: 1 });
  soon.accept('b').play('a', 'failed');
  expect(soon.state).toBe('running');
  soon.fire('a').play('c', 'succeeded').play('a', 'failed');
  expect([soon.state, soon.all('abort')]).toEqual(['ending', []]);
  soon.end('b', 'succeeded');
  expect(outcomesOf(soon)[0]).toMatchObject({ reason: 'fail_fast', outcomes: { failed: 1, succeeded: 2 }, notStarted: 1 });
  const now = start(['a', 'b', 'c'], { concurrency: 2, failFast: 'now' }).accept('b').play('a', 'failed');
  expect(now.all('abort').map(({ key }) => key)).toEqual(['b']);
  expect(outcomesOf(now.end('b', 'aborted'))[0]).toMatchObject({ reason: 'fail_fast', outcomes: { failed: 1, aborted: 1 } });
});

test.each([
  [{ count: 2 }, 2],
  [{ share: 0.5 }, 3],
  [{ share: 0.01 }, 1],
] as const)('max failures %o end the run at failure %i', (maxFailures, most) => {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
  const run = start(keys, { concurrency: 1, maxFailures });
  for (const key of keys.slice(0, most)) run.play(key, 'failed');
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'max_failures', outcomes: { failed: most }, notStarted: 6 - most });
});

const setupFailed = (key: string, code = 1) => ({
  billed: false,
  error: {
    ...errorOf('WORKSPACE_SETUP_FAILED', `setup of ${key} ended with ${code}: make. Its log is /r/${key}/setup.log.`),
    details: { key, log: `/r/${key}/setup.log` },
  },
});

test('the same setup failure of the first three tasks stops the run', () => {
  const run = start(['t1', 't2', 't3', 't4'], { concurrency: 1 });
  for (const key of ['t1', 't2', 't3']) run.end(key, 'failed', setupFailed(key));
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'setup_failures', outcomes: { failed: 3 }, notStarted: 1 });
  expect(run.rows.filter((row) => row.type === 'attempt.ended').map(({ billed }) => billed)).toEqual([false, false, false]);
});

test('setups that fail in different ways, or after one that went well, stop nothing', () => {
  const other = start(['t1', 't2', 't3', 't4'], { concurrency: 1 });
  other.end('t1', 'failed', setupFailed('t1')).end('t2', 'failed', setupFailed('t2', 2)).end('t3', 'failed', setupFailed('t3'));
  expect(other.state).toBe('running');
  const later = start(['t1', 't2', 't3', 't4', 't5'], { concurrency: 1 }).play('t1', 'succeeded');
  for (const key of ['t2', 't3', 't4']) later.end(key, 'failed', setupFailed(key));
  expect(later.state).toBe('running');
});

test('a task in flight at three deaths runs alone, after all others, and one more death ends it', () => {
  const restartLimits = { maxRestarts: 3, windowMs: 60_000, delaysMs: [1, 2, 3] };
  const run = start(['poison', 'b', 'c', 'd', 'e'], { concurrency: 1, restartLimits });
  for (const other of ['b', 'c', 'd']) {
    run.accept('poison').die('poison').ready().fire('poison').play(other, 'succeeded');
  }
  expect(run.all('restartServer').map(({ delayMs }) => delayMs)).toEqual([1, 2, 3]);
  expect(run.context.flights).toMatchObject([{ key: 'e', isSuspect: false }]);
  run.play('e', 'succeeded');
  expect(run.context.flights).toMatchObject([{ key: 'poison', isSuspect: true, attempt: 4 }]);
  run.accept('poison').die('poison');
  expect(run.all('restartServer')).toHaveLength(4);
  const end = run.rows.findLast((row) => row.type === 'attempt.ended');
  expect(end).toMatchObject({ outcome: 'failed', error: { code: 'POISON_TASK' }, final: true, result: { outcome: 'failed' } });
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', outcomes: { succeeded: 4, failed: 1 } });
});

test('suspects run one at a time, and one that ends is cleared', () => {
  const lost = { final: false, counts: 'infrastructure', deaths: 3, attempt: 3 } as const;
  const before = [...['a', 'b', 'c'].map((key) => added(key, { retries: 1 })), ...['a', 'b'].map((key) => ended(key, 'server_lost', lost))];
  const run = start(['a', 'b', 'c'], { before }, { retries: 1 });
  expect(run.started()).toEqual(['c']);
  run.play('c', 'failed');
  expect(run.started()).toEqual([]);
  run.fire('c');
  expect(run.started()).toEqual(['c']);
  run.play('c', 'succeeded');
  expect(run.started()).toEqual(['a']);
  run.play('a', 'failed');
  expect(run.started()).toEqual([]);
  run.fire('a');
  expect(run.started()).toEqual(['a']);
  expect(run.context.flights).toMatchObject([{ key: 'a', isSuspect: false }]);
});

test('deaths with suspects alone use no restarts; a spent budget ends the run', () => {
  const before = [added('a'), ended('a', 'server_lost', { final: false, counts: 'infrastructure', deaths: 3, attempt: 3 }), added('b')];
  const run = new RunUnderTest([task('a'), task('b', { after: ['a'] })], {
    before,
    restartLimits: { maxRestarts: 0, windowMs: 1000, delaysMs: [7] },
  });
  run.accept('a').die('a');
  expect(run.fresh('restartServer')).toEqual([{ delayMs: 7 }]);
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', outcomes: { failed: 1 }, skipped: 1 });
  const spent = start(['a', 'b'], { concurrency: 1, restartLimits: { maxRestarts: 1, windowMs: 1000, delaysMs: [7] } });
  spent.accept('a').die('a').ready().accept('b').die('b');
  expect(outcomesOf(spent)[0]).toMatchObject({ reason: 'restarts_spent', outcomes: { server_lost: 2 }, notStarted: 0 });
  const later = start(['a', 'b'], { concurrency: 1, restartLimits: { maxRestarts: 1, windowMs: 1000, delaysMs: [7] } });
  later.accept('a').die('a').ready();
  later.now += 1000;
  expect(later.accept('b').die('b').state).toBe('running');
});

test('full for too long: the run stops cleanly, and goes on when it is resumed', () => {
  const run = start(['a', 'b'], { concurrency: 1 }).accept('a');
  run.failing.push('RUN_STORAGE_FULL');
  run.end('a', 'succeeded');
  expect(run.all('schedule')).toEqual([
    { timer: { name: 'storage.deadline' }, delayMs: 60_000 },
    { timer: { name: 'storage.retry' }, delayMs: 1000 },
  ]);
  run.failing.push('RUN_STORAGE_FULL', 'RUN_STORAGE_FULL');
  run.fire('storage.retry', 59_000);
  expect([run.state, run.all('told')]).toEqual(['running', []]);
  run.fire('storage.deadline', 1000);
  expect(run.all('ended')).toMatchObject([
    { reason: 'storage_full', isCommitted: false, counts: { outcomes: { interrupted: 1 }, notStarted: 1 } },
  ]);
  const again = start(['a', 'b'], { before: run.rows, concurrency: 1 });
  expect(again.all('look')).toMatchObject([{ key: 'a', open: { token: '1.1', sessionId: 'ses_a' } }]);
});

test('room in time: what waited is committed, and the run goes on', () => {
  const run = start(['a', 'b'], { concurrency: 1 }).accept('a');
  run.failing.push('RUN_STORAGE_FULL', 'RUN_STORAGE_FULL');
  run.end('a', 'succeeded').fire('storage.retry', 1000).fire('storage.retry', 1000);
  expect([run.all('told').length, run.started()]).toEqual([1, ['a', 'b']]);
  run.fire('storage.deadline', 60_000);
  expect(run.state).toBe('running');
});

test('room at the very end: the rows that waited and the end of the run are committed', () => {
  const run = start(['a', 'b'], { concurrency: 1 }).accept('a');
  run.failing.push('RUN_STORAGE_FULL');
  run.end('a', 'succeeded').fire('storage.deadline', 60_000);
  expect(run.all('ended')).toMatchObject([{ reason: 'storage_full', isCommitted: true }]);
  expect(run.rows.slice(-2).map(({ type }) => type)).toEqual(['attempt.ended', 'run.ended']);
});

test('a journal that cannot be written ends the run, and nothing is told of what it does not hold', () => {
  const run = start(['a', 'b']).accept('a').accept('b');
  run.failing.push('SERVER_ERROR');
  run.end('a', 'succeeded');
  expect(run.all('abort').map(({ key }) => key)).toEqual(['b']);
  run.end('b', 'aborted');
  expect(run.all('ended')).toMatchObject([{ reason: 'failed', isCommitted: false, counts: { total: 2, outcomes: { interrupted: 2 } } }]);
  expect(run.all('told')).toEqual([]);
});

test('a journal that fails with the very last row: the run ends all the same', () => {
  const run = start(['a']).accept('a');
  run.commits = false;
  run.end('a', 'succeeded').commit();
  run.failing.push('SERVER_ERROR');
  run.commit();
  expect(run.all('ended')).toMatchObject([{ reason: 'failed', isCommitted: false, counts: { outcomes: { succeeded: 1 } } }]);
});

test('a server that cannot be started ends the run', () => {
  const run = start(['a', 'b'], { concurrency: 1 }).accept('a');
  run.send({ type: 'server.gone', error: errorOf('SERVER_START_FAILED', 'no'), atMs: 0 }).end('a', 'server_lost');
  expect(run.all('ended')).toMatchObject([{ reason: 'restarts_spent', why: 'The server cannot be started: no', isCommitted: true }]);
});

test('a server that does not come back ends the run, and what waits for it', () => {
  const run = start(['a', 'b'], { concurrency: 1, serverTimeoutMs: 5000 }).accept('a').die().ready();
  run.now += 1;
  run.die();
  const [first, second] = run.all('schedule').map(({ timer }) => timer);
  run.send({ type: 'timer.fired', timer: first!, atMs: run.now });
  expect(run.all('abort')).toEqual([]);
  run.send({ type: 'timer.fired', timer: second!, atMs: run.now }).end('a', 'aborted');
  expect(run.all('ended')).toMatchObject([{ reason: 'restarts_spent', why: 'The server died, and was not there again within 5000 ms.' }]);
  expect(run.rows.findLast(({ type }) => type === 'attempt.ended')).toMatchObject({ abortedBy: 'manager', counts: 'none', final: false });
});

const open = [added('a'), added('b'), intended('a')];
const looked = { key: 'a', attempt: 1, token: '1.1' };

test('an attempt that finished while no manager was there is read, and not sent again', () => {
  const run = start(['a', 'b'], { before: open, concurrency: 1 });
  expect([run.all('look').map(({ key }) => key), run.started()]).toEqual([['a'], []]);
  const end = { outcome: 'succeeded', error: null, result: resultOf('a', 'succeeded'), billed: true, jitter: 0, atMs: 0 } as const;
  run.send({ type: 'attempt.looked', ...looked, fate: 'finished', end });
  expect(run.all('told')).toMatchObject([{ key: 'a', attempt: 1, outcome: 'succeeded', final: true }]);
  expect(run.all('start').map(({ key }) => key)).toEqual(['b']);
});

test.each([
  ['interrupted', 'retry', false, null],
  ['interrupted', 'continue', false, 'ses_a'],
  ['interrupted', 'fail', true, undefined],
  ['never_started', 'fail', false, null],
] as const)('an attempt that is found %s: %s', (fate, onInterrupted, final, goesOnIn) => {
  const run = start(['a', 'b'], { before: open, onInterrupted, concurrency: 1 });
  const end = { outcome: 'interrupted', error: null, result: resultOf('a', 'interrupted'), billed: true, jitter: 0, atMs: 0 } as const;
  run.send({ type: 'attempt.looked', ...looked, fate, end });
  const row = run.rows.findLast((one) => one.type === 'attempt.ended');
  expect(row).toMatchObject({ outcome: 'interrupted', counts: 'none', final, billed: fate === 'interrupted' });
  const first = run.all('start')[0]!;
  expect(first.key === 'a' ? (first.goesOn?.sessionId ?? null) : undefined).toBe(goesOnIn);
});

test('a session that could not be read is read again after a while, and its task begins anew when that does not help', () => {
  const run = start(['a', 'b'], { before: open, concurrency: 1, infrastructureTries: 1 });
  const error = errorOf('CONNECTION_LOST');
  const end = { outcome: 'interrupted', error, result: resultOf('a', 'interrupted'), billed: true, jitter: 0, atMs: 0 } as const;
  run.send({ type: 'attempt.looked', ...looked, fate: 'unread', end });
  expect([run.rows.filter(({ type }) => type === 'attempt.ended'), run.started()]).toEqual([[], ['b']]);
  run.play('b', 'succeeded').fire('a', 1000);
  expect(run.all('look')).toHaveLength(2);
  run.send({ type: 'attempt.looked', ...looked, fate: 'unread', end });
  expect(run.rows.findLast(({ type }) => type === 'attempt.ended')).toMatchObject({ key: 'a', counts: 'none', final: false, error });
  expect(run.started()).toEqual(['a']);
});

test('what is being read when the server dies, or the run is aborted, stays to be read', () => {
  const died = start(['a', 'b'], { before: open, concurrency: 1 }).die();
  expect(died.context.unlooked).toEqual(['a']);
  died.ready();
  expect(died.all('look')).toHaveLength(2);
  const aborted = start(['a', 'b'], { before: open, concurrency: 1 }).send({ type: 'run.abort', reason: 'SIGTERM' });
  expect(aborted.all('ended')).toMatchObject([{ reason: 'aborted', counts: { outcomes: { interrupted: 1 }, notStarted: 1 } }]);
  expect(foldJournal(rowsOf(aborted.rows)).tasks[0]).toMatchObject({ open: { token: '1.1' } });
});

test('a spent quota with a reset gives its slot back, and goes on in its session after it', () => {
  const run = start(['a', 'b'], { concurrency: 1 });
  const reset_at = new Date(run.now + 3_600_000).toISOString();
  run.play('a', 'quota_exhausted', { result: resultOf('a', 'quota_exhausted', { reset_at }) });
  expect(run.fresh('schedule')).toEqual([{ timer: { name: 'attempt', key: 'a' }, delayMs: 3_645_000 }]);
  run.play('b', 'succeeded').fire('a', 3_645_000);
  expect(run.all('start').at(-1)).toMatchObject({ key: 'a', attempt: 2, goesOn: { sessionId: 'ses_a' } });
  const resumed = start(['a', 'b'], { before: run.rows.slice(0, 6) });
  expect(resumed.all('schedule')[0]).toMatchObject({ timer: { key: 'a' }, delayMs: 3_645_000 });
});

test('a run of which all is done ends at once, and starts nothing', () => {
  const run = start(['a'], { before: [added('a'), ended('a', 'succeeded'), added('gone')] });
  expect(run.all('start')).toEqual([]);
  expect(outcomesOf(run)).toEqual([
    { reason: 'done', total: 1, outcomes: { succeeded: 1 }, ...counted, reused: 1, dropped: 1, succeededFirstTry: 1 },
  ]);
});

test('a task whose blocker kept its end is skipped when the run goes on', () => {
  const before = [added('a'), added('b', { after: ['a'] }), ended('a', 'failed')];
  const run = new RunUnderTest([task('a'), task('b', { after: ['a'] })], { before });
  expect(run.all('told')).toEqual([{ type: 'skipped', key: 'b', blockedBy: 'a' }]);
  expect(outcomesOf(run)[0]).toMatchObject({ reason: 'done', outcomes: { failed: 1 }, skipped: 1 });
});

test('after its end a run changes nothing any more', () => {
  const run = start(['a']).play('a', 'succeeded');
  const rows = run.rows.length;
  run.send({ type: 'server.died', error: errorOf('SERVER_EXITED'), atMs: 0 }).send({ type: 'run.abort', reason: 'late' });
  expect([run.rows.length, run.all('ended').length, run.all('restartServer')]).toEqual([rows, 1, []]);
});
