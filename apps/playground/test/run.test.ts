import { contextChanges } from '@opencode-manager/actors/machines';
import type { SessionPool } from '@opencode-manager/actors';
import { describe, expect, it, onTestFinished } from 'vitest';
import { templateOf } from '../src/app/templates.ts';
import { tagsOf } from '../src/run/meaning.ts';
import { RunStore } from '../src/run/store.ts';
import { ViewBuilder } from '../src/run/view.ts';
import { sendTo } from '../src/simulation/doors.ts';
import { scenarios } from '../src/simulation/scenarios.ts';
import { applyChanges } from '../src/trace/changes.ts';
import type { Change } from '../src/trace/format.ts';
import { play } from './support/play.ts';

/** Frames of a page that draws whenever it is asked. */
function withFrames(): void {
  globalThis.requestAnimationFrame = (callback) => Number(setImmediate(() => callback(0)));
  onTestFinished(() => void Reflect.deleteProperty(globalThis, 'requestAnimationFrame'));
}

describe('changes of a context', () => {
  it('lead from one value to the other', () => {
    const before = { a: 1, b: { c: [1, 2], d: 'x', same: { deep: true } }, gone: null };
    const after = { a: 1, b: { c: [1, 3], d: 'x', same: { deep: true } }, fresh: { e: 1 } };
    expect(applyChanges(before, contextChanges(before, after) as Change[])).toEqual(after);
  });
});

describe.each(scenarios.filter(({ id }) => id !== 'crowd'))('the scenario "$title"', ({ id }) => {
  it('is told by records from which the page knows every session, pool and server, and by its story', async () => {
    const { records, run, pool } = await play(id, 40_000);
    const builder = new ViewBuilder();
    for (const record of records) builder.apply(record);
    const { sessions, pool: poolView, server } = builder.view();
    const snapshot = pool.snapshot();
    const shown = [...sessions.values()]
      .filter(({ ended }) => !ended)
      .map((view) => ({ sessionId: view.id, path: view.path, turns: view.turns }));
    expect(shown).toEqual(snapshot.sessions.map(({ sessionId, path, turns }) => ({ sessionId, path, turns })));
    expect(poolView).toMatchObject({ path: snapshot.state, context: { finished: snapshot.finished, outcomes: snapshot.outcomes } });
    const { state, generation, rotations, retiring } = snapshot.server;
    expect(server).toMatchObject({ path: state, context: { generation, rotations, retiring } });
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, index) => index + 1));
    expect(new Set(run.captions.map(({ text }) => text))).toEqual(new Set(run.scenario.beats.map(({ text }) => text)));
  });
});

describe('the simulated pool', () => {
  const outcomes = (pool: SessionPool) => pool.snapshot().outcomes;

  it('plays the same story each time', async () => {
    const [one, other] = [await play('agents', 5000), await play('agents', 5000)];
    expect(other.records).toEqual(one.records);
  });

  it('recovers from a crash, and every task ends once', async () => {
    const { pool, records } = await play('crash', 30_000);
    expect(outcomes(pool)).toEqual({ succeeded: 24 });
    expect(pool.snapshot()).toMatchObject({ serverRestarts: 1, server: { state: 'ready', generation: 2 } });
    expect(records.filter(({ actor, path }) => actor === 'pool' && path !== undefined).map(({ path }) => path)).toEqual([
      'starting',
      'running',
      'recovering',
      'running',
    ]);
    const resumed = records.filter(({ type }) => type === 'turn.resume');
    const interrupted = records.filter(({ type, path }) => type === 'server.interrupted' && path === 'error');
    expect(resumed.length).toBeGreaterThan(0);
    expect(interrupted.length).toBeGreaterThan(resumed.length);
  });

  it('spends its budget on a server that keeps dying, and no task is left', async () => {
    const { pool } = await play('loop', 30_000);
    const { succeeded = 0, server_lost = 0 } = outcomes(pool);
    expect([succeeded + server_lost, server_lost > 8]).toEqual([12, true]);
    expect(pool.snapshot()).toMatchObject({ state: 'failed', serverRestarts: 3, server: { state: 'failed' } });
  });

  it('replaces a server that grows, which ends with its last turn', async () => {
    const { pool, records, run } = await play('rotation', 20_000);
    expect(pool.snapshot()).toMatchObject({ outcomes: { succeeded: 60 }, server: { generation: 2, rotations: 1, retiring: [] } });
    expect(run.world.processes.map(({ state }) => state)).toEqual(['ended', 'running']);
    expect(records.flatMap(tagsOf)).not.toContain('error');
  });

  it('takes answers by hand', async () => {
    const { run, pool } = await play('ask', 1000);
    const [first, second] = run.world.ledger.asks;
    sendTo(run, first!.sessionId, 'ask.closed', { id: first!.id, allow: false });
    sendTo(run, second!.sessionId, 'ask.closed', { id: second!.id, allow: true });
    await run.pass(3000);
    expect(run.world.ledger.asks.map(({ answer }) => answer)).toEqual(['deny', 'allow']);
    expect(outcomes(pool)).toMatchObject({ succeeded: 1 });
    expect(() => sendTo(run, first!.sessionId, 'ask.closed', { id: first!.id, allow: true })).toThrow('is open (any more).');
  });

  it('takes prompts and facts by hand', async () => {
    const { run, records, pool } = await play('hand', 500);
    const [{ sessionId } = { sessionId: '' }] = pool.snapshot().sessions;
    const path = () => pool.snapshot().sessions[0]?.path;
    sendTo(run, sessionId, 'turn.submit', { prompt: 'Hello' });
    await run.pass(500);
    expect(path()).toBe('active.running');
    // The server tells nothing: the turn is told by hand, from its beginning to its end.
    for (const type of ['session.busy', 'message.started', 'message.finalised', 'session.idle']) {
      const context = new ViewBuilder();
      for (const record of records) context.apply(record);
      sendTo(
        run,
        sessionId,
        type,
        templateOf(sessionId, type, { nowMs: run.nowMs, context: context.view().sessions.get(sessionId)?.context }),
      );
      await run.pass(10);
    }
    expect(path()).toBe('idle');
    expect(() => sendTo(run, 'ses_none', 'turn.submit', { prompt: 'Hello' })).toThrow('The pool has no idle session ses_none (any more).');
  });
});

describe('the store of a run', () => {
  it('shows any moment as it was', async () => {
    withFrames();
    const { records } = await play('gap', 8000);
    const store = new RunStore();
    for (const record of records) store.append(record);
    for (const end of [0, 1, 40, records.length - 1, records.length]) {
      store.moveTo(end);
      await new Promise(setImmediate);
      const builder = new ViewBuilder();
      for (const record of records.slice(0, end)) builder.apply(record);
      expect(store.moment().view).toEqual(builder.view());
    }
    expect(store.moment().marks.map(({ tag }) => tag)).toContain('gap');
  });

  it('takes records of 500 sessions far faster than 5,000 a second, and pushes the oldest out', async () => {
    withFrames();
    const { records } = await play('crowd', 1500);
    const store = new RunStore(8192);
    const startedAt = performance.now();
    for (const record of records) store.append(record);
    const perSecond = (records.length * 1000) / (performance.now() - startedAt);
    expect(records.length).toBeGreaterThan(10_000);
    expect(perSecond).toBeGreaterThan(10_000);
    await new Promise(setImmediate);
    const { view, dropped, records: kept } = store.moment();
    expect(view.sessions.size).toBeGreaterThanOrEqual(500);
    expect(dropped + kept.length).toBe(records.length);
    store.moveTo(1);
    await new Promise(setImmediate);
    expect(store.moment().view.sessions.size).toBeGreaterThan(0);
  });
});
