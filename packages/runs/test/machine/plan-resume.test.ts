import { expect, test } from 'vitest';
import type { JournalEvent } from '../../src/journal/events.ts';
import { foldJournal, noHistory, planResume, type ResumePolicy, type SourceTask } from '../../src/machine/index.ts';
import { added, ended, errorOf, intended, resultOf, rowsOf, task } from '../support/facts.ts';

function planned(events: readonly JournalEvent[], now: readonly SourceTask[], policy: ResumePolicy = {}) {
  const opened: JournalEvent = { type: 'run.opened', generation: 1 };
  const { plan, refusal } = planResume(foldJournal(rowsOf([opened, ...events])), now, policy);
  if (refusal) throw new Error(`${refusal.code} ${refusal.message}`);
  return plan;
}

/** The decision about task `a` after these events. */
function decided(events: readonly JournalEvent[], policy: ResumePolicy = {}, now: Partial<SourceTask> = {}): string {
  return planned([added('a'), ...events], [task('a', now)], policy).lines[0]!.decision;
}

test('a run that begins adds each task once', () => {
  const { plan } = planResume(noHistory, [task('a'), task('b', { after: ['a'], retries: 2 })], {});
  expect(plan?.events).toEqual([
    { type: 'run.opened', generation: 1 },
    { type: 'task.added', key: 'a', hash: 'ocm-task-v1:a', after: [], retries: 0 },
    { type: 'task.added', key: 'b', hash: 'ocm-task-v1:b', after: ['a'], retries: 2 },
  ]);
  expect(plan?.lines).toEqual([
    { key: 'a', decision: 'new', why: 'It is new.', outcome: null },
    { key: 'b', decision: 'new', why: 'It is new.', outcome: null },
  ]);
});

test.each([
  ['succeeded', [ended('a', 'succeeded')], 'reuse', 'reuse'],
  ['never started', [], 'run', 'run'],
  ['interrupted', [intended('a'), ended('a', 'interrupted')], 'run', 'run'],
  ['server_lost', [ended('a', 'server_lost')], 'run', 'run'],
  ['aborted with its run', [ended('a', 'aborted', { final: false, counts: 'none', abortedBy: 'manager' })], 'run', 'run'],
  ['failed with tries left', [ended('a', 'failed', { final: false })], 'run', 'run'],
  ['in flight', [intended('a')], 'look', 'look'],
  ['quota with a reset', [ended('a', 'quota_exhausted', { result: resetAt('2026-01-01T00:00:00Z') })], 'run', 'run'],
  ['quota without', [ended('a', 'quota_exhausted')], 'skip', 'run'],
  ['timed_out', [ended('a', 'timed_out')], 'skip', 'run'],
  ['stalled', [ended('a', 'stalled')], 'skip', 'run'],
  ['over_budget', [ended('a', 'over_budget')], 'skip', 'run'],
  ['failed', [ended('a', 'failed')], 'skip', 'run'],
  ['runaway', [ended('a', 'runaway')], 'skip', 'run'],
  ['needs_input', [ended('a', 'needs_input')], 'skip', 'run'],
  ['aborted by the user', [ended('a', 'aborted', { counts: 'none', abortedBy: 'user' })], 'skip', 'run'],
] as const)('%s: resume %#', (_name, events, plain, retrying) => {
  expect([decided(events), decided(events, { retryErrors: true })]).toEqual([plain, retrying]);
});

function resetAt(reset_at: string) {
  return resultOf('a', 'quota_exhausted', { reset_at });
}

test('retry-errors of some outcomes leaves the others', () => {
  const policy = { retryErrors: ['stalled'] } as const;
  expect([decided([ended('a', 'stalled')], policy), decided([ended('a', 'failed')], policy)]).toEqual(['run', 'skip']);
});

test('a raised limit runs again what that limit ended, and nothing else', () => {
  const atLimit = [ended('a', 'timed_out', { limit: { name: 'timeout', value: 1000 } })];
  expect(decided(atLimit, {}, { limits: { timeout: 1000 } })).toBe('skip');
  expect(decided(atLimit, {}, { limits: { timeout: 1001 } })).toBe('run');
  expect(decided(atLimit, {})).toBe('run');
  expect(decided([ended('a', 'stalled', { limit: { name: 'stall', value: 5 } })], {}, { limits: { timeout: 9e9, stall: 5 } })).toBe('skip');
  expect(decided([ended('a', 'failed', { limit: { name: 'timeout', value: 1 } })], {})).toBe('skip');
});

test('redo runs what has succeeded, under the next number and with counters at 0', () => {
  const plan = planned([added('a'), ended('a', 'succeeded')], [task('a')], { redo: ['a'] });
  expect(plan.lines).toEqual([{ key: 'a', decision: 'run', why: 'It runs again because --redo names it.', outcome: 'succeeded' }]);
  expect(plan.events).toEqual([{ type: 'run.opened', generation: 2 }, added('a')]);
  expect(plan.tasks[0]).toMatchObject({ attempts: 1, ownTries: 0, end: null });
});

test('a resume that is itself interrupted goes on with what it had decided', () => {
  const before = [added('a'), ended('a', 'failed', { error: errorOf('TURN_FAILED') })];
  const first = planned(before, [task('a')], { retryErrors: true });
  expect(first.lines[0]!.decision).toBe('run');
  const again = planned([...before, ...first.events], [task('a')]);
  expect(again.lines).toEqual([{ key: 'a', decision: 'run', why: 'It has not run yet.', outcome: null }]);
});

test('changed tasks are refused by id and field', () => {
  const before = [added('a', { fields: { prompt: '1', model: 'm' } }), added('b')];
  const history = foldJournal(rowsOf(before));
  const now = [task('a', { hash: 'x', fields: { prompt: '2', model: 'm', agent: 'z' } }), task('b', { hash: 'y' })];
  const { plan, refusal } = planResume(history, now, {});
  expect(plan).toBeNull();
  expect(refusal).toMatchObject({
    code: 'TASKS_CHANGED',
    details: {
      keys: ['a', 'b'],
      differing: [
        { key: 'a', difference: 'agent, prompt' },
        { key: 'b', difference: 'what it asks for' },
      ],
    },
  });
  expect(refusal!.message).toContain('a (agent, prompt), b (what it asks for)');
});

test('changed tasks run anew, or keep what they have', () => {
  const other = { hash: 'x' };
  expect(decided([ended('a', 'succeeded')], { changed: 'rerun' }, other)).toBe('run');
  expect(decided([intended('a')], { changed: 'rerun' }, other)).toBe('run');
  expect(decided([ended('a', 'succeeded')], { changed: 'keep' }, other)).toBe('reuse');
  const kept = planned([added('a'), ended('a', 'succeeded')], [task('a', other)], { changed: 'keep' });
  expect(kept.events).toEqual([{ type: 'run.opened', generation: 2 }]);
  const unrun = planned([added('a')], [task('a', other)], { changed: 'keep' });
  expect(unrun.events).toEqual([{ type: 'run.opened', generation: 2 }, added('a', other)]);
});

test('a rerun of an attempt in flight refuses its late end: nothing is open any more', () => {
  const plan = planned([added('a'), intended('a')], [task('a', { hash: 'x' })], { changed: 'rerun' });
  expect(plan.tasks[0]).toMatchObject({ open: null, attempts: 1, hash: 'x' });
});

test('what the source names no more is dropped, once, and comes back as it was', () => {
  const first = planned([added('a'), added('b'), ended('b', 'succeeded')], [task('a')]);
  expect(first.events.slice(1)).toEqual([{ type: 'task.dropped', key: 'b' }]);
  expect([first.dropped, first.lines[1]!.decision]).toEqual([1, 'drop']);
  const gone = [added('a'), added('b'), ended('b', 'succeeded'), ...first.events];
  expect(planned(gone, [task('a')]).events).toEqual([{ type: 'run.opened', generation: 3 }]);
  const back = planned(gone, [task('a'), task('b')]);
  expect(back.lines.map(({ decision }) => decision)).toEqual(['run', 'reuse']);
  expect(back.events.slice(1)).toEqual([added('b')]);
  expect(planned([...gone, ...back.events], [task('a'), task('b')]).lines[1]!.decision).toBe('reuse');
});

test('skipped tasks are decided again when what blocked them runs again', () => {
  const before = [added('a'), added('b', { after: ['a'] }), added('c', { after: ['b'] })];
  const rows = [
    ...before,
    ended('a', 'failed'),
    { type: 'task.skipped', key: 'b', blockedBy: 'a' } as const,
    { type: 'task.skipped', key: 'c', blockedBy: 'b' } as const,
  ];
  const now = [task('a'), task('b', { after: ['a'] }), task('c', { after: ['b'] })];
  expect(planned(rows, now).lines.map(({ decision }) => decision)).toEqual(['skip', 'skip', 'skip']);
  expect(planned(rows, now, { retryErrors: true }).lines.map(({ decision }) => decision)).toEqual(['run', 'run', 'run']);
});

test('an order that cannot be is refused, and a cycle is named', () => {
  const refusalOf = (...tasks: SourceTask[]) => planResume(noHistory, tasks, {}).refusal;
  const cycle = refusalOf(task('a', { after: ['b'] }), task('b', { after: ['c'] }), task('c', { after: ['b'] }));
  expect(cycle).toMatchObject({ code: 'TASK_ORDER_INVALID', details: { cycle: ['b', 'c', 'b'] } });
  expect(cycle!.message).toContain('b -> c -> b');
  expect(refusalOf(task('a', { after: ['a'] }))?.details).toMatchObject({ cycle: ['a', 'a'] });
  expect(refusalOf(task('a', { after: ['z'] }))?.details).toMatchObject({ key: 'a', unknown: 'z' });
  expect(refusalOf(task('a'), task('a'))?.code).toBe('TASK_DUPLICATE');
  const diamond = [task('a'), task('b', { after: ['a'] }), task('c', { after: ['a'] }), task('d', { after: ['b', 'c'] })];
  expect(refusalOf(...diamond)).toBeNull();
});

test('a chain of 20,000 tasks is checked without a deep stack', () => {
  const chain = Array.from({ length: 20_000 }, (_, at) => task(`t${at}`, { after: at === 19_999 ? [] : [`t${at + 1}`] }));
  expect(planResume(noHistory, chain, {}).refusal).toBeNull();
});

test('redo of an unknown key is refused', () => {
  expect(planResume(noHistory, [task('a')], { redo: ['b'] }).refusal?.code).toBe('TASK_UNKNOWN');
});

test('keys may hold any characters', () => {
  const keys = ['__proto__', 'constructor', '', 'a\u0000b', '🙂'];
  const events = keys.map((key) => added(key));
  const plan = planned(
    [...events, ended('__proto__', 'succeeded')],
    keys.map((key) => task(key)),
  );
  expect(plan.lines.map(({ decision }) => decision)).toEqual(['reuse', 'run', 'run', 'run', 'run']);
});

test('the fold counts what takes of which counter, and deaths until an attempt ends otherwise', () => {
  const events = [
    added('a', { retries: 3 }),
    ended('a', 'server_lost', { counts: 'infrastructure', final: false, deaths: 1 }),
    ended('a', 'interrupted', { attempt: 2, counts: 'infrastructure', final: false, deaths: 2 }),
    ended('a', 'aborted', { attempt: 3, counts: 'none', final: false, abortedBy: 'manager' }),
  ];
  const fold = (more: readonly JournalEvent[]) => foldJournal(rowsOf([...events, ...more])).tasks[0];
  expect(fold([])).toMatchObject({ attempts: 3, ownTries: 0, infrastructureTries: 2, deaths: 3 });
  expect(fold([ended('a', 'failed', { attempt: 4 })])).toMatchObject({ attempts: 4, ownTries: 1, infrastructureTries: 2, deaths: 0 });
});
