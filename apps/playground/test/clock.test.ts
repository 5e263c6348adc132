import { describe, expect, it } from 'vitest';
import { SteppedClock } from '../src/simulation/clock.ts';

describe('the stepped clock', () => {
  it('fires timers in order of time, each at its own time, those made on the way included', () => {
    const clock = new SteppedClock();
    const fired: [string, number][] = [];
    const note = (name: string) => () => void fired.push([name, clock.now()]);
    clock.setTimeout(note('late'), 30);
    clock.setTimeout(() => {
      note('first')();
      clock.setTimeout(note('chained'), 5);
    }, 10);
    clock.setTimeout(note('equal'), 10);
    const gone = clock.setTimeout(note('cleared'), 20);
    clock.clearTimeout(gone);
    expect(clock.nextDueMs).toBe(10);
    expect(clock.advanceTo(100)).toBe(true);
    expect(fired).toEqual([
      ['first', 10],
      ['equal', 10],
      ['chained', 15],
      ['late', 30],
    ]);
    expect(clock.now()).toBe(100);
    expect(clock.nextDueMs).toBeUndefined();
  });

  it('stops at a limit, with the rest still due', () => {
    const clock = new SteppedClock();
    for (let count = 0; count < 3; count += 1) clock.setTimeout(() => undefined, 10);
    expect(clock.advanceTo(50, 2)).toBe(false);
    expect(clock.now()).toBe(10);
    expect(clock.advanceTo(50)).toBe(true);
  });
});
