import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EventMonitor, type MonitorEvent } from '../src/index.ts';
import { streamThreads } from '../src/host/stream-threads.ts';
import { eventId } from './support/events.ts';
import { holdStreamThread } from './support/held-thread.ts';
import { frame, startSsePeer, type SsePeer } from './support/sse-peer.ts';
import { ofType, until, watch } from './support/watch.ts';

const run = promisify(execFile);
let peer: SsePeer;
let monitor: EventMonitor;

beforeEach(async () => {
  peer = await startSsePeer();
  monitor = EventMonitor.open(peer, { reconnect: { minMs: 1, maxMs: 20 } });
  await monitor.ready();
});
afterEach(async () => {
  await monitor.close();
  await peer[Symbol.asyncDispose]();
});

const publishDelta = (session: string, part: string, delta: string) =>
  peer.publish(session, 'message.part.delta', { messageID: 'm', partID: part, field: 'text', delta });

describe('the thread', () => {
  test('a lost thread is replaced within a second; its gap is replayed', async () => {
    const events = watch(monitor);
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the first update came', () => ofType(events, 'session.updated').length === 1);
    const lostAtMs = performance.now();
    await streamThreads()[0]!.terminate();
    peer.publish('s', 'session.updated', { info: { id: 's' } }, true);
    await until('the stream is live again', () => ofType(events, 'stream.live').length === 1);
    expect(performance.now() - lostAtMs).toBeLessThan(5000);
    expect(ofType(events, 'session.updated').map((event) => event.durableSequence)).toEqual([0, 1]);
    expect(ofType(events, 'stream.gap')).toMatchObject([{ generation: 2, reason: expect.stringContaining('thread was lost') }]);
    expect(monitor.stats).toMatchObject({ workerRestarts: 1, reconnects: 1 });
    expect([monitor.gaps, monitor.state, events.at(-1)]).toMatchObject([1, 'live', { type: 'stream.live', generation: 2, replayed: 1 }]);
  });

  test('a thread that is lost again and again fails the monitor', async () => {
    const iterator = monitor.streamEvents({ type: 'session.*' });
    const failed = expect(iterator.next()).rejects.toMatchObject({ code: 'STREAM_WORKER_LOST' });
    const notices = watch(monitor, { sessionId: 's', type: 'stream.failed' });
    for (let loss = 0; loss < 6; loss++) {
      await monitor.ready();
      await streamThreads()[0]!.terminate();
      await until('the loss was noticed', () => monitor.state !== 'live');
    }
    await failed;
    expect([monitor.state, monitor.error?.code, monitor.stats.workerRestarts]).toEqual(['failed', 'STREAM_WORKER_LOST', 5]);
    expect(notices).toMatchObject([{ type: 'stream.failed', error: { code: 'STREAM_WORKER_LOST' } }]);
    await expect(monitor.ready()).rejects.toMatchObject({ code: 'STREAM_WORKER_LOST' });
  });

  test('a thread that is lost while it starts is replaced', async () => {
    await monitor.close();
    monitor = EventMonitor.open(peer);
    await streamThreads()[0]!.terminate();
    await monitor.ready();
    expect(monitor.stats.workerRestarts).toBe(1);
    expect(monitor.gaps).toBe(0);
  });

  test('monitors share a thread, each sees its own stream, and the last one ends it', async () => {
    await using otherPeer = await startSsePeer();
    await using other = EventMonitor.open(otherPeer);
    await other.ready();
    const [events, otherEvents] = [watch(monitor), watch(other)];
    peer.publish('s', 'session.idle', {});
    otherPeer.publish('t', 'session.idle', {});
    await until('both events came', () => events.length > 0 && otherEvents.length > 0);
    expect([events, otherEvents].map((list) => list.map(({ sessionId }) => sessionId))).toEqual([['s'], ['t']]);
    expect(streamThreads().length).toBe(1);
    await other.close();
    peer.publish('s', 'session.idle', {});
    await until('the first monitor goes on', () => events.length === 2);
    await monitor.close();
    expect(streamThreads().length).toBe(0);
  });

  test('close() leaves no thread, and is final', async () => {
    await monitor.close();
    await monitor.close();
    expect([streamThreads().length, monitor.state]).toEqual([0, 'closed']);
    expect(() => monitor.streamEvents()).toThrow(expect.objectContaining({ code: 'MONITOR_CLOSED' }));
    await expect(monitor.ready()).rejects.toMatchObject({ code: 'MONITOR_CLOSED' });
  });

  test('after close() nothing keeps the process alive', async () => {
    const script = fileURLToPath(new URL('./support/watch-and-close.ts', import.meta.url));
    const { stdout, stderr } = await run(process.execPath, ['--conditions=@opencode-manager/source', script], { timeout: 30_000 });
    expect(JSON.parse(stdout)).toMatchObject({ events: ['session.idle', 'read session.idle'], holding: [] });
    expect(stderr).toBe('');
  });

  test('close() ends a wait for a server that is not there', async () => {
    const lonely = EventMonitor.open({ credentials: () => ({ url: 'http://127.0.0.1:9', authorization: 'Basic x' }) });
    const waiting = expect(lonely.ready()).rejects.toMatchObject({ code: 'MONITOR_CLOSED' });
    await lonely.close();
    await waiting;
  });
});

describe('listeners', () => {
  holdStreamThread();

  test('one that throws is reported once and disturbs nobody', async () => {
    const warnings: Error[] = [];
    // Node's own listener prints warnings; this one is expected.
    const printers = process.listeners('warning');
    process.removeAllListeners('warning').on('warning', (warning) => warnings.push(warning));
    let calls = 0;
    monitor.on({ type: 'session.idle' }, () => {
      calls++;
      throw new Error('the listener is broken');
    });
    const events = watch(monitor, { type: 'session.idle' });
    peer.publish('s', 'session.idle', {});
    peer.publish('s', 'session.idle', {});
    await until('both events came', () => events.length === 2 && warnings.length > 0);
    process.removeAllListeners('warning');
    for (const printer of printers) process.on('warning', printer);
    expect([calls, warnings.length, warnings[0]!.message.includes('the listener is broken')]).toEqual([2, 1, true]);
  });

  test('one may leave, and others may come, in the middle of a batch', async () => {
    const seen: string[] = [];
    const stop = monitor.on({ sessionId: 's' }, () => {
      seen.push('first');
      stop();
      monitor.on({ sessionId: ['s', 't'] }, ({ type }) => seen.push(type));
    });
    publishDelta('s', 'p', 'x');
    peer.publish('s', 'session.idle', {});
    peer.publish('t', 'session.idle', {});
    await until('the last event came', () => seen.length === 3);
    expect(seen).toEqual(['first', 'session.idle', 'session.idle']);
  });

  test('one that subscribes each new session misses nothing of it, within a batch neither', async () => {
    const seen: string[] = [];
    const wanted = ['session.updated', 'message.removed', 'session.idle'];
    monitor.on({ type: 'session.created' }, (event) =>
      monitor.on({ sessionId: event.sessionId!, type: wanted }, ({ type, sessionId }) => seen.push(`${sessionId} ${type}`)),
    );
    const record = (sessionID: string, type: string) => frame({ id: eventId(), type, properties: { sessionID, info: { id: sessionID } } });
    const story = (session: string) =>
      ['session.created', 'session.updated', 'todo.updated', 'message.removed'].map((type) => record(session, type)).join('');
    const { batches } = monitor.stats;
    await peer.send(story('child') + story('grandchild') + record('child', 'session.idle') + record('grandchild', 'session.idle'));
    await until('the last event came', () => seen.at(-1) === 'grandchild session.idle');
    expect([monitor.stats.batches - batches, seen]).toEqual([
      1,
      [
        'child session.updated',
        'child message.removed',
        'grandchild session.updated',
        'grandchild message.removed',
        'child session.idle',
        'grandchild session.idle',
      ],
    ]);
  });

  test('closing from a listener ends the delivery', async () => {
    const seen: MonitorEvent[] = [];
    monitor.on({}, (event) => {
      seen.push(event);
      void monitor.close();
    });
    publishDelta('s', 'p', 'x');
    peer.publish('s', 'session.idle', {});
    await until('the monitor is closed', () => monitor.state === 'closed');
    expect(seen.length).toBe(1);
  });
});

describe('iterators', () => {
  holdStreamThread();

  test('get their own session in order and end when the consumer leaves', async () => {
    const iterator = monitor.sessionEvents('s');
    publishDelta('t', 'p', 'other');
    publishDelta('s', 'p', 'a');
    publishDelta('s', 'p', 'b');
    peer.publish('s', 'session.idle', {});
    const seen: string[] = [];
    for await (const event of iterator) {
      seen.push(event.type === 'part.delta' ? event.data.delta : event.type);
      if (event.type === 'session.idle') break;
    }
    expect(seen).toEqual(['ab', 'session.idle']);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test('a slow one loses its oldest deltas, is told how many, and loses no lifecycle event', async () => {
    await monitor.close();
    monitor = EventMonitor.open(peer, { coalesce: false, bufferLimit: 50 });
    await monitor.ready();
    const iterator = monitor.streamEvents({ sessionId: 's' });
    const all = watch(monitor, { sessionId: 's' });
    for (let index = 0; index < 500; index++) {
      publishDelta('s', `p${index}`, 'x');
      if (index % 100 === 0) peer.publish('s', 'session.idle', {});
    }
    peer.publish('s', 'session.compacted', {});
    await until('the last event came', () => ofType(all, 'session.compacted').length === 1);
    const seen: MonitorEvent[] = [];
    for await (const event of iterator) {
      seen.push(event);
      if (event.type === 'session.compacted') break;
    }
    const dropped = ofType(seen, 'stream.dropped').reduce((sum, { count }) => sum + count, 0);
    expect(ofType(all, 'part.delta').length).toBe(500);
    expect([ofType(seen, 'session.idle').length, ofType(seen, 'part.delta').length + dropped, monitor.stats.dropped]).toEqual([
      5,
      500,
      dropped,
    ]);
    expect(dropped).toBeGreaterThan(400);
  });

  test('end with the monitor, after what is buffered', async () => {
    const [buffered, waiting] = [monitor.streamEvents(), monitor.streamEvents({ type: 'session.error' })];
    const next = waiting.next();
    const all = watch(monitor);
    peer.publish('s', 'session.idle', {});
    await until('the event came', () => all.length === 1);
    await monitor.close();
    expect(await next).toEqual({ done: true, value: undefined });
    expect((await buffered.next()).value).toMatchObject({ type: 'session.idle' });
    expect(await buffered.next()).toEqual({ done: true, value: undefined });
  });

  test('end when their signal aborts', async () => {
    const controller = new AbortController();
    const next = monitor.streamEvents({ type: 'session.*' }, { signal: controller.signal }).next();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await monitor.streamEvents({}, { signal: AbortSignal.abort() }).next()).toEqual({ done: true, value: undefined });
  });

  test('what waits for several reads comes in order', async () => {
    const iterator = monitor.sessionEvents('s');
    const reads = Promise.all([iterator.next(), iterator.next(), iterator.next()]);
    for (const type of ['session.idle', 'session.compacted', 'session.error']) peer.publish('s', type, {});
    expect((await reads).map(({ value }) => value?.type)).toEqual(['session.idle', 'session.compacted', 'session.error']);
  });
});

describe('numbers', () => {
  holdStreamThread();

  test('events, bytes, batches, coalesced deltas and the time of the newest byte', async () => {
    const events = watch(monitor);
    for (let index = 0; index < 100; index++) publishDelta('s', 'p', 'x');
    peer.publish('s', 'session.idle', {});
    await until('the last event came', () => ofType(events, 'session.idle').length === 1);
    const { stats } = monitor;
    expect(stats.events).toBe(102);
    expect(stats.coalesced + ofType(events, 'part.delta').length).toBe(100);
    expect(stats).toMatchObject({ dropped: 0, malformed: 0, reconnects: 0, workerRestarts: 0 });
    expect(stats.bytes).toBeGreaterThan(10_000);
    expect(stats.batches).toBeGreaterThan(0);
    expect(Math.abs(Date.now() - stats.lastRecordAtMs!)).toBeLessThan(10_000);
  });

  test('a heartbeat is a sign of life and no event', async () => {
    const before = monitor.stats.lastRecordAtMs!;
    const events = watch(monitor);
    await until('the heartbeat was counted', () => {
      void peer.send('data: {"payload":{"id":"","type":"server.heartbeat","properties":{}}}\n\n');
      return monitor.stats.lastRecordAtMs! > before;
    });
    expect(events).toEqual([]);
  });
});
