import { expect, test } from 'vitest';
import { EventMonitor } from '../src/index.ts';
import { assembleParts } from './support/events.ts';
import { seededRandom } from './support/random.ts';
import { startSsePeer, type SsePeer } from './support/sse-peer.ts';
import { ofType, until, watch } from './support/watch.ts';

const dropsOfOneRun = 100;

test.each([1, 2, 3, 4])(`${dropsOfOneRun} random losses: every stored event once, in order, and the right text (seed %i)`, async (seed) => {
  const random = seededRandom(seed);
  await using peer = await startSsePeer();
  await using monitor = EventMonitor.open(peer, { reconnect: { minMs: 1, maxMs: 5 }, latency: random.pick(['low', 'normal'] as const) });
  const events = watch(monitor);
  await monitor.ready();
  const writer = createWriter(peer, random);
  for (let drop = 0; drop < dropsOfOneRun; drop++) {
    for (let step = 0; step < random.below(30); step++) writer.step();
    if (random.below(3) === 0) peer.beforeHistory(() => [1, 2, 3, 4, 5].forEach(() => writer.step()));
    if (random.below(4) === 0) void peer.send('data: {"half":');
    peer.drop(random.pick(['end', 'reset'] as const));
    for (let step = 0; step < random.below(10); step++) writer.step();
    await until('a connection is open again', () => peer.open > 0);
  }
  // A history that is asked for only now must not bring anything behind the sessions' last events.
  peer.beforeHistory(undefined);
  writer.finish();
  await until('the last event of each session came', () => ofType(events, 'session.deleted').length === writer.sessions.length);

  const stored = events.filter((event) => 'durableSequence' in event);
  for (const { id, sequence } of writer.sessions) {
    const numbers = stored
      .filter((event) => event.sessionId === id)
      .map((event) => ('durableSequence' in event ? event.durableSequence : -1));
    expect(numbers).toEqual(Array.from({ length: sequence }, (_, index) => index));
  }
  const ids = events.flatMap((event) => ('id' in event ? [event.id] : []));
  expect(new Set(ids).size).toBe(ids.length);
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
  const texts = assembleParts(events.filter((event) => 'id' in event));
  for (const [part, text] of writer.texts) expect(texts.get(part)).toBe(text);
  expect(peer.opened).toBeGreaterThan(dropsOfOneRun);
});

/** Three sessions whose parts grow by deltas and are stored whole when they end. */
function createWriter(peer: SsePeer, random: ReturnType<typeof seededRandom>) {
  const sessions = ['a', 'b', 'c'].map((id) => ({ id, sequence: 0, part: 0, text: '', open: false }));
  const texts = new Map<string, string>();
  const store = (session: (typeof sessions)[number], type: string, properties: Record<string, unknown>) => {
    peer.publish(session.id, type, properties, true);
    session.sequence++;
  };
  const partOf = (session: (typeof sessions)[number]) => ({
    id: `${session.id}${session.part}`,
    sessionID: session.id,
    messageID: 'm',
    type: 'text',
    text: session.text,
  });
  const step = (session = random.pick(sessions)) => {
    if (!session.open) {
      Object.assign(session, { open: true, text: '' });
      return store(session, 'message.part.updated', { part: partOf(session) });
    }
    if (random.below(4) > 0) {
      const delta = `${random.below(1000)};`;
      session.text += delta;
      return void peer.publish(session.id, 'message.part.delta', {
        messageID: 'm',
        partID: `${session.id}${session.part}`,
        field: 'text',
        delta,
      });
    }
    store(session, 'message.part.updated', { part: partOf(session) });
    texts.set(`${session.id}${session.part}`, session.text);
    peer.publish(session.id, 'session.idle', {});
    Object.assign(session, { open: false, part: session.part + 1 });
  };
  const finish = () => {
    for (const session of sessions) store(session, 'session.deleted', {});
  };
  return { sessions, texts, step, finish };
}
