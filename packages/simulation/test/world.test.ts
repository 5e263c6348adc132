import { describe, expect, it } from 'vitest';
import { drawPlan, Randomness, shrink } from '../src/index.ts';
import { runInNode, trapRealTime } from '../src/node/index.ts';

describe('a world', () => {
  it('is the same to the byte for the same seed', async () => {
    for (const seed of [3, 5, 8]) {
      const plan = drawPlan(seed, { profile: 'storm' });
      expect((await runInNode(plan)).history).toEqual((await runInNode(plan)).history);
    }
  });

  it('runs a plan that went through JSON', async () => {
    const plan = drawPlan(11, { profile: 'rough' });
    const read = JSON.parse(JSON.stringify(plan)) as typeof plan;
    expect((await runInNode(read)).digest).toBe((await runInNode(plan)).digest);
  });

  it('draws chance by name, so that a draw more in one place shifts no other', () => {
    const one = new Randomness(7);
    const other = new Randomness(7);
    one.of('a').next();
    expect(one.of('b').next()).toBe(other.of('b').next());
  });
});

describe('shrink', () => {
  it('drops from a plan what a failure does not need', async () => {
    const plan = drawPlan(23, { profile: 'storm' });
    const least = await shrink(plan, ({ actions }) => Promise.resolve(actions.some((action) => action.do === 'run')));
    expect(least.actions).toHaveLength(1);
    expect(least.faults).toEqual([]);
  });
});

describe('the trap', () => {
  it('gives real time back', () => {
    const before = { date: Date, timer: setTimeout };
    trapRealTime(() => undefined)();
    expect({ date: Date, timer: setTimeout }).toEqual(before);
  });
});
