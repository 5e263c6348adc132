import type { ArrivedEvent, ServerEvent } from '@opencode-manager/core/protocol';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { WaitingEvents } from '../src/worker/coalesce.ts';
import { assembleParts, delta, idle, partUpdated } from './support/events.ts';
import { seededRandom } from './support/random.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function liveHeapBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

const summary = (events: readonly ArrivedEvent[]) =>
  events.map((event) => `${event.sessionId}:${event.type === 'part.delta' ? `${event.data.partId}=${event.data.delta}` : event.type}`);

describe('WaitingEvents', () => {
  test('joins deltas of one part and counts them as joined', () => {
    const waiting = new WaitingEvents(true);
    expect([
      waiting.push(delta('a', 'p', '1')),
      waiting.push(delta('a', 'p', '2')),
      waiting.push(delta('b', 'q', 'x')),
      waiting.push(delta('a', 'p', '3')),
    ]).toEqual(['waiting', 'joined', 'waiting', 'joined']);
    expect(summary(waiting.take())).toEqual(['a:p=123', 'b:q=x']);
    expect(waiting.length).toBe(0);
  });

  test('keeps apart what another event of the session, another part or another field separates', () => {
    const waiting = new WaitingEvents(true);
    for (const event of [
      delta('a', 'p', '1'),
      idle('a'),
      delta('a', 'p', '2'),
      delta('a', 'q', '3'),
      delta('a', 'q', '4', 'reasoning'),
      idle('b'),
      delta('a', 'q', '5', 'reasoning'),
    ]) {
      waiting.push(event);
    }
    expect(summary(waiting.take())).toEqual(['a:p=1', 'a:session.idle', 'a:p=2', 'a:q=3', 'a:q=45', 'b:session.idle']);
  });

  test('does not join across batches, nor at all when it is switched off', () => {
    const waiting = new WaitingEvents(true);
    waiting.push(delta('a', 'p', '1'));
    waiting.take();
    expect(waiting.push(delta('a', 'p', '2'))).toBe('waiting');

    const plain = new WaitingEvents(false);
    expect([plain.push(delta('a', 'p', '1')), plain.push(delta('a', 'p', '2'))]).toEqual(['waiting', 'waiting']);
    expect(plain.length).toBe(2);
  });

  test('a joined delta has the newest id', () => {
    const waiting = new WaitingEvents(true);
    const newest = delta('a', 'p', '2');
    waiting.push(delta('a', 'p', '1'));
    waiting.push(newest);
    const [joined] = waiting.take();
    expect(joined!.id).toBe(newest.id);
  });

  test('holds the deltas of a session that nobody follows until it says something else', () => {
    const waiting = new WaitingEvents(true, (session) => session === 'live');
    expect([
      waiting.push(delta('a', 'p', '1')),
      waiting.push(delta('live', 'q', 'x')),
      waiting.push(delta('a', 'p', '2')),
      waiting.push(idle('b')),
    ]).toEqual(['held', 'waiting', 'joined', 'waiting']);
    expect(summary(waiting.take())).toEqual(['live:q=x', 'b:session.idle']);
    waiting.push(delta('a', 'p', '3'));
    waiting.push(idle('a'));
    expect(summary(waiting.take())).toEqual(['a:p=123', 'a:session.idle']);
    expect(waiting.heldSinceMs).toBeUndefined();
  });

  test('lets go what was held long enough, and nothing younger', () => {
    const waiting = new WaitingEvents(true, () => false);
    waiting.push(delta('a', 'p', '1'));
    const sinceMs = waiting.heldSinceMs!;
    waiting.releaseSince(sinceMs - 1);
    expect([waiting.length, waiting.heldSinceMs]).toEqual([0, sinceMs]);
    waiting.releaseSince(sinceMs);
    expect([summary(waiting.take()), waiting.heldSinceMs]).toEqual([['a:p=1'], undefined]);
  });

  test('another part or field of the session lets go what was held', () => {
    const waiting = new WaitingEvents(true, () => false);
    for (const event of [delta('a', 'p', '1'), delta('a', 'q', '2'), delta('a', 'q', '3', 'reasoning')]) waiting.push(event);
    expect(summary(waiting.take())).toEqual(['a:p=1', 'a:q=2']);
    waiting.release('a');
    expect(summary(waiting.take())).toEqual(['a:q=3']);
  });

  test('keeps what it holds, and not the reads of the socket that brought it', () => {
    const waiting = new WaitingEvents(true, () => false);
    const readBytes = 100_000;
    const before = liveHeapBytes();
    for (let read = 0; read < 500; read++) {
      const text = `${String(read).padStart(20, '-')}${'x'.repeat(readBytes)}`;
      // Looking into it makes it one text, as a read is.
      expect(text.indexOf('-x')).toBe(-1);
      waiting.push(delta('a', 'p', text.slice(0, 20)));
    }
    expect(liveHeapBytes() - before).toBeLessThan(50 * readBytes);
    waiting.release('a');
    expect(summary(waiting.take())[0]).toHaveLength('a:p='.length + 500 * 20);
  });

  test.each(Array.from({ length: 50 }, (_, index) => index + 1))('keeps order and text of every session (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const sessions = ['a', 'b', 'c'];
    const followed = new Set(sessions);
    const waiting = new WaitingEvents(true, (session) => followed.has(session));
    const sent: ServerEvent[] = [];
    const received: ServerEvent[] = [];
    for (let index = 0; index < 200; index++) {
      const session = random.pick(sessions);
      const part = `${session}${random.below(2)}`;
      const event = random.pick([
        () => delta(session, part, `${index};`),
        () => delta(session, part, `${index};`),
        () => partUpdated(session, part, `full${index};`),
        () => idle(session),
      ])();
      sent.push(structuredClone(event));
      waiting.push(event);
      if (random.below(10) === 0) waiting.release(session);
      if (random.below(20) === 0) waiting.releaseSince(Infinity);
      if (random.below(10) === 0 && !followed.delete(session)) followed.add(session);
      if (random.below(20) === 0) received.push(...(waiting.take() as ServerEvent[]));
    }
    waiting.releaseSince(Infinity);
    received.push(...(waiting.take() as ServerEvent[]));
    expect(assembleParts(received)).toEqual(assembleParts(sent));
    for (const session of sessions) expect(flatText(received, session)).toBe(flatText(sent, session));
  });
});

/** A session's whole story as one text: joined deltas read like those that they were made of. */
function flatText(events: readonly ServerEvent[], session: string): string {
  let previous = '';
  let text = '';
  for (const event of events) {
    if (event.sessionId !== session) continue;
    const label = event.type === 'part.delta' ? event.data.partId : event.id;
    text += (label === previous ? '' : `|${label}|`) + (event.type === 'part.delta' ? event.data.delta : '');
    previous = event.type === 'part.delta' ? label : '';
  }
  return text;
}
