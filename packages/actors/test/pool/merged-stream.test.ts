import type { MonitorEvent } from '@opencode-manager/events';
import { expect, test } from 'vitest';
import { MergedStream } from '../../src/pool/merged-stream.ts';

const event = (sequence: number) => ({ sequence, type: 'server.heartbeat' }) as unknown as MonitorEvent;

/** A source that counts how many events were taken of it. */
function source(from: number, count: number) {
  let taken = 0;
  let left = false;
  return {
    get taken() {
      return taken;
    },
    get left() {
      return left;
    },
    next: async () => {
      if (taken === count) return { done: true as const, value: undefined };
      taken += 1;
      return { done: false as const, value: event(from + taken) };
    },
    return: async () => {
      left = true;
      return { done: true as const, value: undefined };
    },
  };
}

async function rest(stream: AsyncIterable<MonitorEvent>): Promise<number[]> {
  const sequences: number[] = [];
  for await (const { sequence } of stream) sequences.push(sequence);
  return sequences;
}

test('merges sources that come and go, each in its order, and takes one event ahead at most', async () => {
  let left = 0;
  const stream = new MergedStream(undefined, () => (left += 1));
  const [first, second] = [source(0, 3), source(100, 2)];
  stream.add(first);
  expect((await stream.next()).value?.sequence).toBe(1);
  await new Promise(setImmediate);
  expect(first.taken).toBe(2);
  stream.add(second);
  stream.finish();
  const sequences = await rest(stream);
  expect(sequences.filter((one) => one < 100)).toEqual([2, 3]);
  expect(sequences.filter((one) => one > 100)).toEqual([101, 102]);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  expect(left).toBeGreaterThan(0);
});

test('waits for a further source while none is there, and leaves all when the consumer leaves', async () => {
  const stream = new MergedStream(undefined, () => {});
  stream.add(source(0, 0));
  const next = stream.next();
  await new Promise(setImmediate);
  const late = source(10, 5);
  stream.add(late);
  expect((await next).value?.sequence).toBe(11);
  await stream.return();
  expect(late.left).toBe(true);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
});

test('a source that fails fails the stream, after what came before it', async () => {
  const stream = new MergedStream(undefined, () => {});
  let calls = 0;
  stream.add({
    next: async () => {
      calls += 1;
      if (calls === 1) return { done: false, value: event(1) };
      throw new Error('gone');
    },
  });
  expect((await stream.next()).value?.sequence).toBe(1);
  await expect(stream.next()).rejects.toThrow('gone');
});
