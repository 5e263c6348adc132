import { describe, expect, test } from 'vitest';
import type { MonitorEvent } from '../src/index.ts';
import { BoundedBuffer } from '../src/router/bounded-buffer.ts';
import { delta, idle, partUpdated } from './support/events.ts';
import { seededRandom } from './support/random.ts';

const numbered = (
  event: ReturnType<typeof delta> | ReturnType<typeof idle> | ReturnType<typeof partUpdated>,
  sequence: number,
): MonitorEvent => ({ sequence, ...event });

function drain(buffer: BoundedBuffer): MonitorEvent[] {
  const events: MonitorEvent[] = [];
  for (let event = buffer.shift(); event; event = buffer.shift()) events.push(event);
  return events;
}

describe('BoundedBuffer', () => {
  test('joins deltas of one part before anything is dropped', () => {
    const dropped: number[] = [];
    const buffer = new BoundedBuffer(10, (count) => dropped.push(count));
    for (let index = 0; index < 1000; index++) buffer.push(numbered(delta('a', 'p', 'x'), index));
    const events = drain(buffer);
    expect(dropped).toEqual([]);
    expect(events.map((event) => (event.type === 'part.delta' ? event.data.delta : '')).join('')).toBe('x'.repeat(1000));
    expect(events.length).toBeLessThanOrEqual(10);
  });

  test('drops the oldest deltas first, says how many where they were, and keeps every lifecycle event', () => {
    let dropped = 0;
    const buffer = new BoundedBuffer(10, (count) => {
      dropped += count;
    });
    buffer.push(numbered(idle('a'), 0));
    buffer.push(numbered(partUpdated('a', 'kept', 'full'), 1));
    for (let index = 2; index < 22; index++) buffer.push(numbered(delta('a', `p${index}`, 'x'), index));
    const events = drain(buffer);
    const notices = events.filter((event) => event.type === 'stream.dropped');
    const deltas = events.filter((event) => event.type === 'part.delta');
    expect(events.slice(0, 3).map(({ type }) => type)).toEqual(['session.idle', 'part.updated', 'stream.dropped']);
    expect(notices).toEqual([{ type: 'stream.dropped', plane: 'lifecycle', count: dropped, sequence: 1 + dropped, sessionId: 'a' }]);
    expect(deltas.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 20 - dropped }, (_, index) => 2 + dropped + index));
  });

  test('a notice for several sessions names none', () => {
    const buffer = new BoundedBuffer(4, () => undefined);
    for (let index = 0; index < 12; index++) buffer.push(numbered(delta(`s${index}`, 'p', 'x'), index));
    const [notice] = drain(buffer);
    expect(notice).toMatchObject({ type: 'stream.dropped' });
    expect(notice!.sessionId).toBeUndefined();
  });

  test('joined deltas are new objects: other subscribers hold the old ones', () => {
    const buffer = new BoundedBuffer(2, () => undefined);
    const shared = [1, 2, 3].map((index) => numbered(delta('a', 'p', String(index)), index));
    for (const event of shared) buffer.push(event);
    expect(drain(buffer)).toMatchObject([{ sequence: 1, data: { delta: '123' } }]);
    expect(shared.map((event) => (event.type === 'part.delta' ? event.data.delta : ''))).toEqual(['1', '2', '3']);
  });

  test.each(Array.from({ length: 60 }, (_, index) => index + 1))('every event comes, in order, or is counted (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const limit = 1 + random.below(40);
    let reported = 0;
    const buffer = new BoundedBuffer(limit, (count) => {
      reported += count;
    });
    const pushed: MonitorEvent[] = [];
    const read: MonitorEvent[] = [];
    for (let index = 0; index < 600; index++) {
      const session = random.pick(['a', 'b']);
      const event = numbered(
        random.pick([
          () => delta(session, `p${random.below(3)}`, `${index};`),
          () => partUpdated(session, 'q', String(index)),
          () => idle(session),
        ])(),
        index,
      );
      pushed.push(event);
      buffer.push(event);
      if (random.below(4) === 0) read.push(...[buffer.shift()].filter((one) => one !== undefined));
    }
    read.push(...drain(buffer));
    const noticed = read.reduce((sum, event) => sum + (event.type === 'stream.dropped' ? event.count : 0), 0);
    const sequences = read.map(({ sequence }) => sequence);
    expect(noticed).toBe(reported);
    expect(sequences).toEqual(sequences.toSorted((left, right) => left - right));
    expect(read.filter(({ type }) => type === 'session.idle')).toEqual(pushed.filter(({ type }) => type === 'session.idle'));
  });
});
