import { protocolNamed, type ServerEvent } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { BackOff } from '../src/worker/back-off.ts';
import { eventAge } from '../src/worker/event-age.ts';
import { RecentIds } from '../src/worker/recent-ids.ts';
import { SyncPairs } from '../src/worker/sync-pairs.ts';
import { idle, partUpdated } from './support/events.ts';

describe('BackOff', () => {
  test('waits between the minimum and a ceiling that doubles up to the maximum', () => {
    const longest = new BackOff(100, 5000, () => 1);
    expect(Array.from({ length: 8 }, () => longest.next())).toEqual([200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    const shortest = new BackOff(100, 5000, () => 0);
    expect(Array.from({ length: 3 }, () => shortest.next())).toEqual([100, 100, 100]);
  });

  test('begins anew after a reset and never overflows', () => {
    const backOff = new BackOff(100, 5000, () => 1);
    for (let attempt = 0; attempt < 2000; attempt++) backOff.next();
    expect(backOff.next()).toBe(5000);
    backOff.reset();
    expect(backOff.next()).toBe(200);
  });
});

describe('eventAge', () => {
  const id = (hex: string) => `evt_${hex}001cl2R3zUVGkszW0`.slice(0, 30);

  test('orders ids by their time, across the wrap of the counter too', () => {
    expect(eventAge(id('2036805a4001'), id('2036805a4000'))).toBe(1);
    expect(eventAge(id('2036805a4000'), id('2036805a4001'))).toBe(-1);
    expect(eventAge(id('000000000001'), id('ffffffffffff'))).toBe(2);
    expect(eventAge(id('ffffffffffff'), id('000000000001'))).toBe(-2);
  });

  test('says nothing about ids without a time', () => {
    expect([eventAge('', id('000000000001')), eventAge(id('000000000001'), 'evt_x')]).toEqual([undefined, undefined]);
  });
});

test('RecentIds remembers at least its capacity in bounded memory', () => {
  const ids = new RecentIds(100);
  for (let index = 0; index < 10_000; index++) {
    ids.add(`evt_${index}`);
    expect(ids.has(`evt_${Math.max(0, index - 99)}`)).toBe(true);
    expect(ids.size).toBeLessThanOrEqual(200);
  }
  expect(ids.has('evt_0')).toBe(false);
});

test('RecentIds knows ids that come out of order, before and after it has turned', () => {
  const ids = new RecentIds(10);
  for (const id of ['b', 'd', 'c', 'a']) ids.add(id);
  expect(['a', 'b', 'c', 'd', 'e', 'bb'].map((id) => ids.has(id))).toEqual([true, true, true, true, false, false]);
  for (let index = 0; index < 10; index++) ids.add(`e${index}`);
  expect(['a', 'e0', 'e9', 'e5x'].map((id) => ids.has(id))).toEqual([true, true, true, false]);
});

describe('SyncPairs', () => {
  function collect() {
    const out: string[] = [];
    const pairs = new SyncPairs(
      {
        event: (event: ServerEvent) => out.push(`${event.type}#${event.durableSequence ?? '-'}`),
        lateSequence: (sessionId, sequence) => out.push(`late ${sessionId}#${sequence}`),
      },
      protocolNamed('v1').stream.storedTypes,
    );
    return { out, pairs };
  }
  const sync = (id: string, durableSequence: number) => ({ kind: 'sync', id, sessionId: 's', durableSequence }) as const;

  test('gives a stored event its number and lets others pass at once', () => {
    const { out, pairs } = collect();
    const stored = partUpdated('s', 'p', 'x');
    pairs.accept({ kind: 'event', event: stored });
    expect([out, pairs.holding]).toEqual([[], true]);
    pairs.accept(sync(stored.id, 4));
    pairs.accept({ kind: 'event', event: idle('s') });
    expect(out).toEqual(['part.updated#4', 'session.idle#-']);
  });

  test('a stored event whose number does not follow is passed on before what comes next', () => {
    const { out, pairs } = collect();
    const stored = partUpdated('s', 'p', 'x');
    pairs.accept({ kind: 'event', event: stored });
    pairs.accept({ kind: 'event', event: idle('s') });
    pairs.accept(sync(stored.id, 4));
    expect(out).toEqual(['part.updated#-', 'session.idle#-', 'late s#4']);
  });

  test('learns which other types are stored', () => {
    const { out, pairs } = collect();
    const first = idle('s');
    const second = idle('s');
    pairs.accept({ kind: 'event', event: first });
    pairs.accept(sync(first.id, 0));
    pairs.accept({ kind: 'event', event: second });
    pairs.accept(sync(second.id, 1));
    expect(out).toEqual(['session.idle#-', 'late s#0', 'session.idle#1']);
  });

  test('forgets what waits when the connection is lost', () => {
    const { out, pairs } = collect();
    pairs.accept({ kind: 'event', event: partUpdated('s', 'p', 'x') });
    pairs.discard();
    pairs.release();
    expect(out).toEqual([]);
  });
});
