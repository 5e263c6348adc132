import { protocolNamed, type ArrivedEvent, type ServerEvent } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import { decodeBatch } from '../src/worker/batch-text.ts';
import type { FromStreamTask } from '../src/worker/messages.ts';
import { Outbox } from '../src/worker/outbox.ts';
import { assembleParts, delta, idle, partUpdated } from './support/events.ts';
import { seededRandom } from './support/random.ts';

const protocol = protocolNamed('v1').stream;

const summary = (events: readonly ArrivedEvent[]) =>
  events.map((event) => `${event.sessionId}:${event.type === 'part.delta' ? `${event.data.partId}=${event.data.delta}` : event.type}`);

/** An outbox whose reads leave at once, and what it posts. */
function open({ coalesce = true } = {}) {
  const posted: FromStreamTask[] = [];
  const outbox: Outbox = new Outbox({ coalesce, frameMs: 0, post: (message) => posted.push(message) });
  const batches = () => posted.flatMap((message) => (message.type === 'batch' ? [message] : []));
  const events = () => batches().flatMap(({ text }) => decodeBatch(text, protocol)) as unknown as ServerEvent[];
  const sum = (counter: 'events' | 'coalesced') => batches().reduce((total, { counters }) => total + counters[counter], 0);
  const read = (...arrived: ArrivedEvent[]) => {
    for (const event of arrived) outbox.event(event);
    outbox.endOfRead();
    outbox.acknowledge(1);
  };
  return { outbox, posted, batches, events, sum, read };
}

describe('Outbox', () => {
  test('joins deltas of one part within a batch, and counts them', () => {
    const { read, events, sum } = open();
    read(delta('a', 'p', '1'), delta('a', 'p', '2'), delta('b', 'q', 'x'), delta('a', 'p', '3'));
    read(delta('a', 'p', '4'));
    expect(summary(events())).toEqual(['a:p=123', 'b:q=x', 'a:p=4']);
    expect([sum('events'), sum('coalesced')]).toEqual([5, 2]);
  });

  test('keeps apart what another event of the session, another part or another field separates', () => {
    const { read, events } = open();
    read(
      delta('a', 'p', '1'),
      idle('a'),
      delta('a', 'p', '2'),
      delta('a', 'q', '3'),
      delta('a', 'q', '4', 'reasoning'),
      idle('b'),
      delta('a', 'q', '5', 'reasoning'),
    );
    expect(summary(events())).toEqual(['a:p=1', 'a:session.idle', 'a:p=2', 'a:q=3', 'a:q=45', 'b:session.idle']);
  });

  test('joins nothing when that is switched off', () => {
    const { read, events, sum } = open({ coalesce: false });
    read(delta('a', 'p', '1'), delta('a', 'p', '2'));
    expect(summary(events())).toEqual(['a:p=1', 'a:p=2']);
    expect(sum('coalesced')).toBe(0);
  });

  test('a joined delta has the newest id', () => {
    const { read, events } = open();
    const newest = delta('a', 'p', '2');
    read(delta('a', 'p', '1'), newest);
    expect(events().map(({ id }) => id)).toEqual([newest.id]);
  });

  test('what a late number belongs to, and what a notice follows, leaves before it', () => {
    const { outbox, posted } = open();
    outbox.event(idle('a'));
    outbox.lateSequence('a', 4);
    outbox.event(idle('b'));
    outbox.postInOrder({ type: 'gap', generation: 2, reason: 'a test' });
    expect(
      posted.map((message) => (message.type === 'batch' ? summary(decodeBatch(message.text, protocol)).join() : message.type)),
    ).toEqual(['a:session.idle', 'late-sequence', 'b:session.idle', 'gap']);
  });

  test('keeps and joins what comes while sixteen batches are on the way', () => {
    const { outbox, batches, events } = open();
    for (let index = 0; index < 20; index++) {
      outbox.event(delta('a', 'p', `${index};`));
      outbox.endOfRead();
    }
    expect(batches().length).toBe(16);
    outbox.acknowledge(8);
    expect(summary(events().slice(16))).toEqual(['a:p=16;17;18;19;']);
  });

  test.each(Array.from({ length: 50 }, (_, index) => index + 1))('keeps order and text of every session (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const sessions = ['a', 'b', 'c'];
    const { outbox, read, events } = open();
    const sent: ServerEvent[] = [];
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
      outbox.event(event);
      if (random.below(20) === 0) read();
    }
    read();
    const received = events();
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
