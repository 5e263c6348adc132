import { contextChanges } from '@opencode-manager/actors/machines';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tagsOf } from '../src/run/meaning.ts';
import { RunStore } from '../src/run/store.ts';
import { ViewBuilder } from '../src/run/view.ts';
import { scenarios } from '../src/simulation/scenarios.ts';
import { World } from '../src/simulation/world.ts';
import { applyChanges } from '../src/trace/changes.ts';
import type { Change, RunRecord } from '../src/trace/format.ts';

/** Frames of a page that draws whenever it is asked. */
function withFrames(): void {
  globalThis.requestAnimationFrame = (callback) => Number(setImmediate(() => callback(0)));
  onTestFinished(() => void Reflect.deleteProperty(globalThis, 'requestAnimationFrame'));
}

function play(id: string, untilMs: number): { readonly records: RunRecord[]; readonly world: World } {
  const records: RunRecord[] = [];
  const scenario = scenarios.find((one) => one.id === id)!;
  const world = new World({ maxSessions: scenario.maxSessions, onRecord: (record) => records.push(record) });
  onTestFinished(() => world.dispose());
  scenario.setUp(world);
  world.clock.advanceTo(untilMs);
  return { records, world };
}

describe('changes of a context', () => {
  it('lead from one value to the other', () => {
    const before = { a: 1, b: { c: [1, 2], d: 'x', same: { deep: true } }, gone: null };
    const after = { a: 1, b: { c: [1, 3], d: 'x', same: { deep: true } }, fresh: { e: 1 } };
    expect(applyChanges(before, contextChanges(before, after) as Change[])).toEqual(after);
  });
});

describe.each(scenarios.filter(({ id }) => id !== 'crowd'))('the scenario "$title"', ({ id }) => {
  it('is told by records from which every context can be built again', () => {
    const { records, world } = play(id, 12_000);
    const builder = new ViewBuilder();
    for (const record of records) builder.apply(record);
    const { sessions } = builder.view();
    expect([...sessions.keys()].toSorted()).toEqual(world.sessionIds.toSorted());
    for (const [session, view] of sessions) {
      const { context, value } = world.actor(session)!.getSnapshot();
      expect(view.context).toEqual(JSON.parse(JSON.stringify(context)));
      expect(view.path).toBe(typeof value === 'string' ? value : Object.entries(value).flat().join('.'));
    }
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, index) => index + 1));
    const { server } = builder.view();
    expect(server?.context).toEqual(JSON.parse(JSON.stringify(world.life.actor.getSnapshot().context)));
    expect(server?.path).toBe(world.life.actor.getSnapshot().value);
  });
});

describe('the simulated server', () => {
  /** What became of each task, by the pool's own count. */
  const outcomes = (world: World) => (world.actor('pool')!.getSnapshot().context as { outcomes: object }).outcomes;

  it('comes back after a crash, and every task ends once', () => {
    const { world, records } = play('crash', 30_000);
    expect(outcomes(world)).toEqual({ succeeded: 24 });
    expect(world.life.actor.getSnapshot()).toMatchObject({ value: 'ready', context: { generation: 2, restarts: 1 } });
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

  it('that keeps dying spends the budget, and no task is left', () => {
    const { world, records } = play('loop', 30_000);
    expect(outcomes(world)).toEqual({ server_lost: 12 });
    expect(world.actor('pool')!.getSnapshot().value).toBe('failed');
    expect(world.life.actor.getSnapshot().value).toBe('failed');
    expect(records.filter(({ effects }) => effects?.includes('relaunch')).length).toBe(3);
  });

  it('that grows is replaced, and the old one ends with its last turn', () => {
    const { world, records } = play('rotation', 12_000);
    expect(world.life.actor.getSnapshot()).toMatchObject({ context: { generation: 2, rotations: 1, retiring: [] } });
    expect(records.filter(({ actor }) => actor === 'server').map(({ type }) => type)).toContain('generation.retired');
    expect(records.flatMap(tagsOf)).not.toContain('error');
  });

  it('that refuses turns is spared by the pool', () => {
    const { records } = play('quota', 4000);
    const last = records.findLast(({ type }) => type === 'provider.paused');
    expect(last).toMatchObject({ actor: 'pool', payload: { isRateLimit: true } });
  });
});

describe('the store of a run', () => {
  it('shows any moment as it was', async () => {
    withFrames();
    const { records } = play('gap', 8000);
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
    const { records } = play('crowd', 2500);
    const store = new RunStore(8192);
    const startedAt = performance.now();
    for (const record of records) store.append(record);
    const perSecond = (records.length * 1000) / (performance.now() - startedAt);
    expect(records.length).toBeGreaterThan(10_000);
    expect(perSecond).toBeGreaterThan(10_000);
    await new Promise(setImmediate);
    const { view, dropped, records: kept } = store.moment();
    expect(view.sessions.size).toBe(500);
    expect(dropped + kept.length).toBe(records.length);
    store.moveTo(1);
    await new Promise(setImmediate);
    expect(store.moment().view.sessions.size).toBeGreaterThan(0);
  });
});
