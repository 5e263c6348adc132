import { describe, expect, it } from 'vitest';

import { startFaultProxy, type FaultRule, type NetworkFault } from '../src/index.ts';
import { BodyPlan } from '../src/proxy/body-plan.ts';
import { bodyOf, rawClient, startPeer } from './support/peer.ts';

const soon = { timeout: 10_000 };
const one = 'data: {"type":"one"}\n\n';
const two = ': heartbeat\n\n';
const three = 'data: {"type":"three"}\r\ndata: more\r\n\r\n';
const all = one + two + three;
/** No boundary of the network stands where one of the events does. */
const awkward = [all.slice(0, 5), all.slice(5, one.length - 1), all.slice(one.length - 1, one.length + 4), all.slice(one.length + 4)];

/** A peer, a proxy with these rules, and a stream through it whose head has come. */
async function openStream(...rules: FaultRule[]) {
  const peer = await startPeer();
  const proxy = await startFaultProxy({ target: peer.url, rules });
  const client = rawClient(proxy.url, '/events');
  await proxy.waitForStreams(1);
  await expect.poll(() => client.text, soon).toMatch(/\r\n\r\n$/);
  return {
    peer,
    proxy,
    client,
    [Symbol.asyncDispose]: async () => {
      client.socket.destroy();
      await proxy.stop();
      await peer[Symbol.asyncDispose]();
    },
  };
}

describe('a rule cuts a stream', () => {
  it.each([
    [{ afterEvent: 1 }, one, 'one event'],
    [{ beforeEvent: /"three"/g }, one + two, 'an event that matches'],
    [{ insideEvent: 'three' }, one + two + three.slice(0, Math.floor(three.length / 2)), 'the middle of an event'],
    [{ afterEvent: 'heartbeat' }, one + two, 'a comment'],
    [{ afterBytes: 7 }, one.slice(0, 7), 'a byte'],
  ] as const)('at %j', async (at, expected, _what) => {
    await using stream = await openStream({ fault: { type: 'drop', at, how: 'fin' } });
    for (const part of awkward) stream.peer.send(part);
    await expect.poll(() => stream.client.ended, soon).toBe('fin');
    expect(bodyOf(stream.client)).toBe(expected);
    expect(stream.proxy.faults).toMatchObject([{ type: 'drop', rule: 'rule 1', request: 1, bodyBytes: expected.length }]);
    await expect.poll(() => stream.peer.streams.size, soon).toBe(0);
  });

  it('by a reset that comes after what went out before it', async () => {
    await using stream = await openStream({ fault: { type: 'drop', at: { insideEvent: 2 } } });
    stream.peer.send(all);
    await expect.poll(() => stream.client.ended, soon).toBe('rst');
    expect(bodyOf(stream.client)).toBe(one + two.slice(0, 6));
  });

  it('by a proper end, after which the connection serves the next request', async () => {
    await using stream = await openStream({ times: 1, fault: { type: 'drop', at: { afterEvent: 1 }, how: 'end' } });
    stream.peer.send(all);
    await expect.poll(() => stream.client.text, soon).toMatch(/\r\n0\r\n\r\n$/);
    expect(stream.client.ended).toBeUndefined();
    stream.client.send('GET /next HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => stream.client.text, soon).toMatch(/GET $/);
  });
});

describe('a rule stalls a stream', () => {
  it('in the middle of an event, until resume()', async () => {
    await using stream = await openStream({ fault: { type: 'stall', at: { insideEvent: 2 } } });
    stream.peer.send(all);
    await stream.proxy.waitForFaults(1, { type: 'stall' });
    await expect.poll(() => bodyOf(stream.client), soon).toBe(one + two.slice(0, 6));
    expect(stream.client.ended).toBeUndefined();
    expect(stream.proxy.resume()).toBe(1);
    await expect.poll(() => bodyOf(stream.client), soon).toBe(all);
  });

  it('for as long as it says', async () => {
    await using stream = await openStream({ fault: { type: 'stall', at: { afterEvent: 1 }, forMs: 50 } });
    const startedAt = performance.now();
    stream.peer.send(all);
    await expect.poll(() => bodyOf(stream.client), soon).toBe(all);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(49);
  });
});

describe('a rule changes a stream', () => {
  it('slices it into single bytes and loses none', async () => {
    await using stream = await openStream({ fault: { type: 'slice' } });
    for (const part of awkward) stream.peer.send(part);
    await expect.poll(() => bodyOf(stream.client), soon).toBe(all);
    expect(stream.client.reads.length).toBeGreaterThan(all.length / 2);
    expect(stream.client.text.match(/\r\n1\r\n/g)).toHaveLength(all.length);
    expect(stream.proxy.requests[0]).toMatchObject({ events: 3, bodyBytes: all.length, faults: [{ type: 'slice', bodyBytes: 0 }] });
  });

  it.each<[string, NetworkFault, string]>([
    ['duplicates an event', { type: 'duplicate', event: 'one' }, one + one + two + three],
    ['duplicates by number', { type: 'duplicate', event: 3, copies: 2 }, all + three + three],
    ['swallows an event', { type: 'replace', event: /heartbeat/, with: '' }, one + three],
    [
      'breaks the JSON of an event',
      { type: 'replace', event: 1, with: (event) => event.replace('}', '') },
      'data: {"type":"one"\n\n' + two + three,
    ],
  ])('%s', async (_, fault, expected) => {
    await using stream = await openStream({ fault });
    for (const part of awkward) stream.peer.send(part);
    await expect.poll(() => bodyOf(stream.client), soon).toBe(expected);
    expect(stream.proxy.faults).toMatchObject([{ type: fault.type, rule: 'rule 1' }]);
  });

  it('delays each piece', async () => {
    await using stream = await openStream({ fault: { type: 'delay', at: 'chunk', ms: 30 } });
    stream.peer.send(one);
    await expect.poll(() => bodyOf(stream.client), soon).toBe(one);
    const startedAt = performance.now();
    stream.peer.send(two);
    await expect.poll(() => bodyOf(stream.client), { interval: 1, ...soon }).toBe(one + two);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(29);
  });

  it('holds no event unless it has to: the rest after the last blank line still comes', async () => {
    await using stream = await openStream({ fault: { type: 'duplicate', event: 'one' } });
    stream.peer.send(`${one}data: no end`);
    await expect.poll(() => bodyOf(stream.client), soon).toBe(one + one);
    for (const open of stream.peer.streams) open.end();
    await stream.proxy.waitForIdle();
    await expect.poll(() => bodyOf(stream.client), soon).toContain(`${one}${one}data: no end`);
  });
});

describe('the streams that are open', () => {
  it.each(['rst', 'fin', 'end'] as const)('are dropped (%s), and only those that match', async (how) => {
    await using stream = await openStream();
    using other = rawClient(stream.proxy.url, '/events/other');
    await stream.proxy.waitForStreams(2);
    expect(stream.proxy.dropStreams(how, { path: '/events' })).toBe(1);
    expect(stream.proxy.openStreams).toBe(1);
    if (how === 'end') await expect.poll(() => stream.client.text, soon).toMatch(/\r\n0\r\n\r\n$/);
    else await expect.poll(() => stream.client.ended, soon).toBe(how);
    expect(other.ended).toBeUndefined();
    expect(stream.proxy.faults).toMatchObject([{ type: 'drop', rule: null, request: 1 }]);
    expect(stream.proxy.dropStreams()).toBe(1);
    expect(stream.proxy.dropStreams()).toBe(0);
  });

  it('are stalled with their connections open; nothing is lost, and new streams pass', async () => {
    await using stream = await openStream();
    expect(stream.proxy.stallStreams()).toBe(1);
    stream.peer.send(one);
    using later = rawClient(stream.proxy.url, '/events');
    await stream.proxy.waitForStreams(2);
    stream.peer.send(two);
    await expect.poll(() => bodyOf(later), soon).toBe(two);
    expect([bodyOf(stream.client), stream.client.ended]).toEqual(['', undefined]);
    expect(stream.proxy.resume()).toBe(1);
    await expect.poll(() => bodyOf(stream.client), soon).toBe(one + two);
  });

  it('can be dropped while they are stalled, and left', async () => {
    await using stream = await openStream();
    stream.proxy.stallStreams();
    stream.proxy.dropStreams('fin');
    await expect.poll(() => stream.client.ended, soon).toBe('fin');
    using second = rawClient(stream.proxy.url, '/events');
    await stream.proxy.waitForStreams(1);
    stream.proxy.stallStreams();
    second.socket.destroy();
    await stream.proxy.waitForIdle();
    expect(stream.proxy.requests.map(({ outcome }) => outcome)).toEqual(['dropped', 'aborted']);
    await expect.poll(() => stream.peer.streams.size, soon).toBe(0);
  });
});

describe('the plan of a body', () => {
  const faults: NetworkFault[] = [
    { type: 'duplicate', event: 'heartbeat' },
    { type: 'stall', at: { afterEvent: 'one' } },
    { type: 'drop', at: { insideEvent: 3 } },
  ];

  /** What passes until the drop, with the points of the faults. */
  function play(pieces: readonly string[]): string {
    const plan = new BodyPlan(faults, true);
    const steps = [...pieces.flatMap((piece) => [...plan.feed(Buffer.from(piece))]), ...plan.end()];
    return steps.map((step) => (step.kind === 'write' ? step.data.toString() : `<${step.fault.type}>`)).join('');
  }

  it('is the same however the network cuts the bytes', () => {
    const half = Math.floor(three.length / 2);
    const whole = `${one}<stall><duplicate>${two}${two}${three.slice(0, half)}<drop>${three.slice(half)}`;
    expect(play([all])).toBe(whole);
    for (let size = 1; size < all.length; size += 1) {
      const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size));
      expect(play(pieces)).toBe(whole);
    }
  });

  it('takes an event of 16 MB in pieces of 64 KB in no more than a linear time', () => {
    const plan = new BodyPlan([{ type: 'duplicate', event: 2 }], true);
    const piece = Buffer.alloc(65_536, 'x');
    const startedAt = performance.now();
    for (let index = 0; index < 256; index += 1) expect([...plan.feed(piece)]).toEqual([]);
    expect([...plan.feed(Buffer.from('\n\n'))].map((step) => step.kind === 'write' && step.data.length)).toEqual([16_777_218]);
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});
