import { describe, expect, test } from 'vitest';
import { createTurnQueue } from '../src/session/turn-queue.ts';

describe('the queue', () => {
  test('runs one job at a time in order, goes on after one that fails, and lets the aborted go at once', async () => {
    const queue = createTurnQueue();
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = queue.run(async () => {
      await gate.promise;
      throw new Error('first');
    });
    const caller = new AbortController();
    const second = queue.run(async () => void order.push('second'), caller.signal);
    const third = queue.run(async () => void order.push('third'));
    const fourth = queue.run(async () => void order.push('fourth'));
    expect(queue.waiting).toBe(3);
    caller.abort(new Error('second is not wanted'));
    await expect(second).rejects.toThrow('second is not wanted');
    await expect(queue.run(async () => 'never', caller.signal)).rejects.toThrow('second is not wanted');
    expect([queue.waiting, order]).toEqual([2, []]);
    gate.resolve();
    await expect(first).rejects.toThrow('first');
    await Promise.all([third, fourth]);
    expect([queue.waiting, order]).toEqual([0, ['third', 'fourth']]);
  });
});
