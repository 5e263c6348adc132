import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventMonitor, type EventMonitorOptions } from '../src/index.ts';
import { streamThreads } from '../src/host/stream-threads.ts';
import { eventId } from './support/events.ts';
import { holdStreamThread } from './support/held-thread.ts';
import { frame, startSsePeer, type SsePeer } from './support/sse-peer.ts';
import { ofType, until, watch } from './support/watch.ts';

const fast: EventMonitorOptions = { reconnect: { minMs: 1, maxMs: 20 } };
let peer: SsePeer;
let monitor: EventMonitor;

holdStreamThread();
beforeEach(async () => {
  peer = await startSsePeer();
});
afterEach(async () => {
  await monitor.close();
  await peer[Symbol.asyncDispose]();
});

async function open(options: EventMonitorOptions = fast) {
  monitor = EventMonitor.open(peer, options);
  const events = watch(monitor);
  await monitor.ready();
  return events;
}

const idleFrame = (session: string) => frame({ id: eventId(), type: 'session.idle', properties: { sessionID: session } });
const idles = (events: Parameters<typeof ofType>[0]) => ofType(events, 'session.idle').map(({ sessionId }) => sessionId);

describe('framing', () => {
  test('records in slices of one byte, with characters of four bytes', async () => {
    const events = await open();
    const text = 'héllo 🙂 wörld';
    const bytes = Buffer.from(
      frame({
        id: eventId(),
        type: 'message.part.delta',
        properties: { sessionID: 's', messageID: 'm', partID: 'p', field: 'text', delta: text },
      }),
    );
    for (const byte of bytes) await peer.send(Buffer.from([byte]));
    await until('the delta came', () => ofType(events, 'part.delta').length === 1);
    expect(ofType(events, 'part.delta')[0]!.data).toEqual({ messageId: 'm', partId: 'p', field: 'text', delta: text });
  });

  test('lines that end in CRLF, comments and other fields', async () => {
    const events = await open();
    await peer.send(`: a comment\r\nevent: message\r\nretry: 1\r\n${idleFrame('s').replace('\n\n', '\r\n\r\n')}`);
    await until('the event came', () => idles(events).length === 1);
    expect(monitor.stats.malformed).toBe(0);
  });

  test('a record of 16 MB', async () => {
    const events = await open();
    const text = 'x'.repeat(16 * 1024 * 1024);
    peer.publish('s', 'message.part.updated', { part: { id: 'p', sessionID: 's', messageID: 'm', type: 'text', text } }, true);
    await until('the part came', () => ofType(events, 'part.updated').length === 1);
    const [event] = ofType(events, 'part.updated');
    expect([event!.durableSequence, event!.data.part.type === 'text' && event!.data.part.text.length]).toEqual([0, text.length]);
    expect(monitor.gaps).toBe(0);
  });

  test('a record that is not JSON is counted, and the stream goes on', async () => {
    const events = await open();
    await peer.send('data: {"half":\n\ndata: {"no":"payload"}\n\n');
    await peer.send(idleFrame('s'));
    await until('the next event came', () => idles(events).length === 1);
    expect(monitor.stats.malformed).toBe(2);
    expect(monitor.gaps).toBe(0);
  });

  test('an event that comes twice is passed on once', async () => {
    const events = await open();
    const twice = idleFrame('s');
    await peer.send(twice + twice + idleFrame('t') + twice);
    await until('the last event came', () => idles(events).includes('t'));
    peer.publish('u', 'session.idle', {});
    await until('the end came', () => idles(events).includes('u'));
    expect(idles(events)).toEqual(['s', 't', 'u']);
  });
});

describe('losses', () => {
  test.each(['end', 'reset'] as const)('a connection that ends by %s is made again, with a gap and a replay', async (how) => {
    const events = await open();
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the first update came', () => ofType(events, 'session.updated').length === 1);
    peer.drop(how);
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 2);
    expect(events.map(({ type }) => type)).toEqual([
      'server.connected',
      'stream.live',
      'session.updated',
      'stream.gap',
      'session.updated',
      'server.connected',
      'stream.live',
    ]);
    expect(ofType(events, 'stream.gap')[0]).toMatchObject({ generation: 2 });
    expect(ofType(events, 'stream.live')[1]).toMatchObject({ generation: 2, replayed: 1 });
    expect(ofType(events, 'session.updated').map((event) => event.durableSequence)).toEqual([0, 1]);
    expect(peer.historyRequests).toEqual([{ s: 0 }]);
    expect([monitor.gaps, monitor.state, monitor.stats.reconnects]).toEqual([1, 'live', 1]);
  });

  test('half a record before the end is not an event', async () => {
    const events = await open();
    await peer.send(idleFrame('s').slice(0, -20));
    peer.drop('end');
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 2);
    peer.publish('t', 'session.idle', {});
    await until('the next event came', () => idles(events).length === 1);
    expect(idles(events)).toEqual(['t']);
    expect(monitor.stats.malformed).toBe(0);
  });

  test('a stored event whose number was cut off comes once, by the replay', async () => {
    const events = await open();
    const part = { id: 'p', sessionID: 's', messageID: 'm', type: 'text', text: 'whole' };
    const id = peer.publish('s', 'message.part.updated', { part }, 'cut-off');
    peer.drop('end');
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 2);
    peer.publish('s', 'session.idle', {});
    await until('the next event came', () => idles(events).length === 1);
    expect(ofType(events, 'part.updated').map((event) => [event.id, event.durableSequence])).toEqual([[id, 0]]);
    expect(events.findIndex(({ type }) => type === 'part.updated')).toBeGreaterThan(events.findIndex(({ type }) => type === 'stream.gap'));
  });

  test('silence is noticed by the watchdog; a comment is life', async () => {
    const events = await open({ ...fast, watchdogMs: 400 });
    const openedAtMs = Date.now();
    const beats = setInterval(() => void peer.send(': beat\n\n'), 50);
    await until('comments came for longer than the watchdog waits', () => (monitor.stats.lastRecordAtMs ?? 0) - openedAtMs > 800);
    clearInterval(beats);
    expect(monitor.gaps).toBe(0);
    await until('the silence was noticed', () => monitor.gaps > 0);
    expect(ofType(events, 'stream.gap')[0]!.reason).toBe('no byte for 400 ms');
  });

  test('a server that accepts and says nothing does not hold the monitor', async () => {
    await open({ ...fast, watchdogMs: 150 });
    peer.holdFirstRecord(true);
    peer.drop('reset');
    await until('several attempts were made', () => peer.opened >= 3);
    expect(monitor.state).toBe('reconnecting');
    peer.holdFirstRecord(false);
    await monitor.ready();
    expect(monitor.gaps).toBe(1);
  });

  test('reconnect() drops the connection as a fault would', async () => {
    const events = await open();
    monitor.reconnect('a test');
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 2);
    expect(ofType(events, 'stream.gap')).toMatchObject([{ generation: 2, reason: 'a test' }]);
    expect(peer.opened).toBe(2);
  });

  test('a connection is live only when its subscription is proven', async () => {
    peer.subscribeAfter(3);
    const events = await open();
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the first update came', () => ofType(events, 'session.updated').length === 1);
    peer.drop('end');
    await until('a connection was made that is not subscribed', () => peer.opened === 2);
    // Between the greeting and the subscription: the stream never has it.
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 2);
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the last update came', () => ofType(events, 'session.updated').length === 3);
    expect(ofType(events, 'session.updated').map((event) => event.durableSequence)).toEqual([0, 1, 2]);
    expect(events.filter(({ type }) => type === 'session.status' || type === 'session.idle')).toEqual([]);
  });

  test('a history that cannot be read keeps the stream in its gap until it can', async () => {
    const events = await open();
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the first update came', () => ofType(events, 'session.updated').length === 1);
    peer.refuseHistory(2);
    peer.drop('end');
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 2);
    expect(ofType(events, 'session.updated').map((event) => event.durableSequence)).toEqual([0, 1]);
    expect([peer.historyRequests.length, monitor.gaps]).toEqual([3, 1]);
  });

  test('a connection that is lost during its replay is replayed again', async () => {
    const events = await open();
    peer.beforeHistory(() => {
      peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
      peer.drop('reset');
    });
    peer.drop('end');
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('both updates came', () => ofType(events, 'session.updated').length === 2);
    expect(ofType(events, 'session.updated').map((event) => event.durableSequence)).toEqual([0, 1]);
    expect(peer.historyRequests.length).toBe(2);
  });

  const update = (session: string) => peer.publish(session, 'session.updated', { info: { id: session } }, true);
  const updates = (events: Parameters<typeof ofType>[0]) =>
    ofType(events, 'session.updated').map(({ sessionId, durableSequence }) => `${sessionId}#${durableSequence}`);

  test('900 sessions are replayed after a loss; with one more the monitor says that it is incomplete, and goes on', async () => {
    const events = await open();
    for (let session = 0; session < 900; session++) update(`s${session}`);
    await until('all came', () => updates(events).length === 900);
    peer.drop('end');
    for (const session of ['s0', 's899']) update(session);
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 2);
    expect(updates(events).slice(900)).toEqual(['s0#1', 's899#1']);
    expect(Object.keys(peer.historyRequests[0]!).length).toBe(900);
    expect(ofType(events, 'stream.live')[1]).not.toHaveProperty('incomplete');

    update('one more');
    await until('it came', () => updates(events).length === 903);
    peer.drop('end');
    update('s0');
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 3);
    await streamThreads()[0]!.terminate();
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 4);
    update('s0');
    await until('what comes next came', () => updates(events).at(-1) === 's0#3');
    expect(ofType(events, 'stream.live').slice(2)).toMatchObject([
      { replayed: 0, incomplete: true },
      { replayed: 0, incomplete: true },
    ]);
    expect([updates(events).length, peer.historyRequests.length]).toEqual([904, 1]);
  });
});

describe('a server that cannot be used', () => {
  test.each([
    { status: 401, contentType: 'text/plain', body: '' },
    { status: 200, contentType: 'text/html', body: '<html></html>' },
    { status: 404, contentType: 'application/json', body: '{}' },
  ])('an answer of $status $contentType fails the monitor at once', async (answer) => {
    peer.answerWith(answer);
    monitor = EventMonitor.open(peer, fast);
    const events = watch(monitor);
    const iterator = monitor.streamEvents({ type: 'session.*' });
    await expect(monitor.ready()).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE', details: { statusCode: answer.status } });
    await expect(iterator.next()).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE' });
    expect(monitor.state).toBe('failed');
    expect(monitor.error?.message).not.toContain('c2VjcmV0');
    expect(events).toMatchObject([{ type: 'stream.failed', error: { code: 'STREAM_UNAVAILABLE' } }]);
    expect(() => monitor.on({}, () => undefined)).toThrow(expect.objectContaining({ code: 'STREAM_UNAVAILABLE' }));
  });

  test('the failure is the last event of listeners and iterators; iterators then reject once, also when a listener closes the monitor', async () => {
    peer.answerWith({ status: 401, contentType: 'text/plain', body: '' });
    monitor = EventMonitor.open(peer, fast);
    const ofSession = watch(monitor, { sessionId: 's' });
    const others = watch(monitor, { type: 'session.*' });
    const [waiting, buffered, elsewhere] = [
      monitor.streamEvents(),
      monitor.sessionEvents('s'),
      monitor.streamEvents({ type: 'session.*' }),
    ];
    monitor.on({ type: 'stream.failed' }, () => void monitor.close());
    const next = waiting.next();
    const ready = expect(monitor.ready()).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE' });
    const failed = { type: 'stream.failed', plane: 'lifecycle', error: { code: 'STREAM_UNAVAILABLE' } };
    expect(await next).toMatchObject({ done: false, value: failed });
    await ready;
    expect(await buffered.next()).toMatchObject({ done: false, value: failed });
    for (const iterator of [waiting, buffered, elsewhere]) {
      await expect(iterator.next()).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE' });
      expect(await iterator.next()).toEqual({ done: true, value: undefined });
    }
    expect([ofSession.length, others, monitor.state]).toEqual([1, [], 'failed']);
  });

  test('wrong credentials are refused, and the error does not repeat them', async () => {
    monitor = EventMonitor.open({ credentials: () => ({ ...peer.credentials(), authorization: 'Basic d3Jvbmc=' }) }, fast);
    const error = await monitor.ready().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'STREAM_UNAVAILABLE', details: { statusCode: 401 } });
    expect(JSON.stringify(error)).not.toContain('d3Jvbmc=');
  });

  test('a server in trouble is asked again', async () => {
    peer.answerWith({ status: 503, contentType: 'text/plain', body: 'later' });
    monitor = EventMonitor.open(peer, fast);
    await until('several attempts were made', () => peer.opened >= 3);
    peer.answerWith(undefined);
    await monitor.ready();
    expect(monitor.gaps).toBe(0);
  });

  test('ready() gives up at its deadline and says why', async () => {
    await peer[Symbol.asyncDispose]();
    monitor = EventMonitor.open(peer, fast);
    await expect(monitor.ready({ timeoutMs: 3000 })).rejects.toMatchObject({
      code: 'STREAM_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    expect(monitor.state).toBe('opening');
    await expect(monitor.ready({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    peer = await startSsePeer();
  });

  test.each([{ watchdogMs: 0 }, { bufferLimit: -1 }, { reconnect: { minMs: Number.NaN } }])('%j is refused', async (options) => {
    expect(() => EventMonitor.open(peer, options)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    await open();
  });
});
