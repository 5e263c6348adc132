import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DeltaHeads } from '../src/protocol/v1/delta-heads.ts';

describe('DeltaHeads', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  test('knows the parts of ten thousand sessions that write at once, delta after delta', () => {
    const heads = new DeltaHeads();
    const first = readAll(heads, 0, 10_000);
    for (let second = 0; second < 10; second += 1) {
      vi.advanceTimersByTime(1000);
      readAll(heads, 10_000 + 500 * second, 500);
      expect(readAll(heads, 0, 10_000).every((head, part) => head === first[part])).toBe(true);
    }
  });

  test('forgets the parts that nothing was heard of for a while', () => {
    const heads = new DeltaHeads();
    const [first] = readAll(heads, 0, 1);
    for (let second = 0; second < 6; second += 1) {
      vi.advanceTimersByTime(1000);
      readAll(heads, 3000 * second + 1, 3000);
    }
    expect(readAll(heads, 0, 1)[0]).toEqual(first);
    expect(readAll(heads, 0, 1)[0]).not.toBe(first);
  });

  test('forgets by number alone in a flood', () => {
    const heads = new DeltaHeads();
    const [first] = readAll(heads, 0, 1);
    readAll(heads, 1, 70_000);
    expect(readAll(heads, 0, 1)[0]).not.toBe(first);
  });
});

function readAll(heads: DeltaHeads, from: number, count: number) {
  return Array.from({ length: count }, (_, index) => {
    // As opencode's ids: twelve digits that grow, then fourteen of chance.
    const part = `${String(from + index).padStart(12, '0')}${'x'.repeat(14)}`;
    const record = `evt_1","type":"message.part.delta","properties":{"sessionID":"ses_1","messageID":"msg_1","partID":"prt_${part}","field":"text","delta":"`;
    return heads.read(record, 'evt_1'.length, record.length, '/srv/repository');
  });
}
