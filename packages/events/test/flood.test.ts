import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { EventMonitor, type MonitorEvent } from '../src/index.ts';
import { BoundedBuffer } from '../src/router/bounded-buffer.ts';
import { delta, idle, partUpdated } from './support/events.ts';
import { frame, startSsePeer } from './support/sse-peer.ts';
import { ofType, until, watch } from './support/watch.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that are really held. */
function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test('10,000 deltas a second and a subscriber that never reads: little is held, it is told what it missed, and lifecycle events all come', async () => {
  const limit = 1000;
  const seconds = 3;
  await using peer = await startSsePeer();
  await using monitor = EventMonitor.open(peer, { coalesce: false, bufferLimit: limit });
  await monitor.ready();
  const neverReads = monitor.streamEvents();
  let deltas = 0;
  monitor.on({ type: 'part.delta' }, () => void deltas++);
  const idles = watch(monitor, { type: 'session.idle' });
  const before = heldBytes();
  const startedAtMs = performance.now();
  // Ten sessions, a hundred times a second ten deltas each, each of a part of its own; now and then one is idle.
  for (let tick = 0; tick < seconds * 100; tick++) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, startedAtMs + tick * 10 - performance.now())));
    await peer.send(Array.from({ length: 100 }, (_, index) => deltaFrame(`s${index % 10}`, `p${tick}-${index}`)).join(''));
    if (tick % 10 === 0) peer.publish(`s${tick % 7}`, 'session.idle', {});
  }
  await until('every delta came', () => deltas === seconds * 10_000);
  const rate = deltas / ((performance.now() - startedAtMs) / 1000);
  console.info(`${Math.round(rate)} deltas a second; held ${Math.round((heldBytes() - before) / 1024)} KiB`);
  expect(heldBytes() - before).toBeLessThan(8 * 1024 * 1024);

  peer.publish('s0', 'session.compacted', {});
  const seen: MonitorEvent[] = [];
  for await (const event of neverReads) {
    seen.push(event);
    if (event.type === 'session.compacted') break;
  }
  const kept = ofType(seen, 'part.delta').length;
  const told = ofType(seen, 'stream.dropped').reduce((sum, { count }) => sum + count, 0);
  expect(kept).toBeLessThanOrEqual(limit);
  expect({ deltas: kept + told, dropped: monitor.stats.dropped }).toEqual({ deltas: seconds * 10_000, dropped: told });
  expect(ofType(seen, 'session.idle').map(({ id }) => id)).toEqual(ofType(idles, 'session.idle').map(({ id }) => id));
  expect(idles).toHaveLength(seconds * 10);
});

function deltaFrame(sessionID: string, partID: string): string {
  const properties = { sessionID, messageID: 'msg_1', partID, field: 'text', delta: 'some words of an answer ' };
  return frame({ id: delta('s', 'p', '').id, type: 'message.part.delta', properties });
}

describe('a buffer for one slow subscriber', () => {
  const buffered = (maxWeight: number) => {
    const dropped: number[] = [];
    return { dropped, buffer: new BoundedBuffer(10_000, (count) => dropped.push(count), maxWeight) };
  };
  const drain = (buffer: BoundedBuffer) => {
    const events: MonitorEvent[] = [];
    for (let event = buffer.shift(); event; event = buffer.shift()) events.push(event);
    return events;
  };
  const update = (part: string, size: number, sequence: number): MonitorEvent => ({
    sequence,
    ...partUpdated('s', part, 'x'.repeat(size)),
  });

  test('holds the newest state of a part that is told whole again and again, and counts nothing as missed', () => {
    const { buffer, dropped } = buffered(100_000);
    for (let sequence = 0; sequence < 2000; sequence++) {
      buffer.push(update('tool', 1000 + sequence, sequence));
      if (sequence % 500 === 0) buffer.push({ sequence, ...idle('s') });
    }
    const events = drain(buffer);
    expect(dropped).toEqual([]);
    expect(events.at(-1)).toMatchObject({ type: 'part.updated', sequence: 1999 });
    expect(ofType(events, 'session.idle')).toHaveLength(4);
    expect(
      ofType(events, 'part.updated').reduce((sum, { data: { part } }) => sum + (part.type === 'text' ? part.text.length : 0), 0),
    ).toBeLessThanOrEqual(100_000);
  });

  test('leaves the oldest out and says how many, when even the newest states are too much; the very newest stays', () => {
    const { buffer, dropped } = buffered(10_000);
    for (let sequence = 0; sequence < 50; sequence++) buffer.push(update(`part ${sequence}`, 1000, sequence));
    buffer.push(update('huge', 50_000, 50));
    const events = drain(buffer);
    const told = ofType(events, 'stream.dropped').reduce((sum, { count }) => sum + count, 0);
    expect([told, dropped.reduce((sum, count) => sum + count, 0)]).toEqual([50, 50]);
    expect(ofType(events, 'part.updated').map(({ sequence }) => sequence)).toEqual([50]);
  });
});
