import { once } from 'node:events';
import { Agent, request } from 'node:http';

import { describe, expect, it } from 'vitest';

import { startFaultProxy, type FaultProxyOptions, type FaultRule } from '../src/index.ts';
import { bodyOf, exchangeOn, outcomeOf, rawClient, startPeer } from './support/peer.ts';

/** Loopback is quick; the machine may not be. */
const soon = { timeout: 10_000 };

/** A peer with a proxy in front; the proxy stops first. */
async function setUp(...rules: FaultRule[]) {
  const peer = await startPeer();
  const proxy = await startFaultProxy({ target: peer.url, rules });
  return {
    peer,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await proxy.stop();
      await peer[Symbol.asyncDispose]();
    },
  };
}

const post = { method: 'POST', body: 'hello' };

describe('without a rule', () => {
  it('passes requests and answers on as they are and records them without credentials', async () => {
    await using set = await setUp();
    const { peer, proxy } = set;
    using client = rawClient(proxy.url, '/any?directory=/x&auth_token=c2VjcmV0', {
      method: 'POST',
      body: 'hello',
      headers: { 'X-Odd-Case': 'a' },
    });
    await expect.poll(() => client.text, soon).toMatch(/^HTTP\/1.1 200 OK\r\nX-Peer: yes\r\n[^]*POST hello$/);
    expect(peer.last.rawHeaders).toEqual([
      'Host',
      new URL(peer.url).host,
      'Content-Length',
      '5',
      'X-Odd-Case',
      'a',
      'Connection',
      'keep-alive',
    ]);
    expect(peer.received).toEqual(['POST /any?directory=/x&auth_token=c2VjcmV0']);
    await proxy.waitForIdle();
    expect(proxy.requests).toEqual([
      {
        number: 1,
        connection: 1,
        method: 'POST',
        path: '/any',
        query: 'directory=/x&auth_token=***',
        startedAtMs: expect.any(Number) as number,
        endedAtMs: expect.any(Number) as number,
        outcome: 'completed',
        forwarded: true,
        status: 200,
        stream: false,
        bodyBytes: 10,
        events: 0,
        rule: null,
        faults: [],
      },
    ]);
  });

  it('keeps a connection for many requests, one on the other side for it, and answers without a body', async () => {
    await using set = await setUp();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const path of ['/none', '/a', '/b', '/none', '/c']) await exchangeOn(agent, set.proxy.url + path);
    expect(set.peer.received).toEqual(['POST /none', 'POST /a', 'POST /b', 'POST /none', 'POST /c']);
    expect(set.proxy.requests.map(({ connection, status }) => [connection, status])).toEqual(
      [204, 200, 200, 204, 200].map((status) => [1, status]),
    );
    expect(set.peer.sockets.size).toBe(1);
    agent.destroy();
  });

  it('answers pipelined requests in their order', async () => {
    await using set = await setUp({ when: { path: '/first' }, fault: { type: 'delay', ms: 50 } });
    using client = rawClient(set.proxy.url, '/first');
    client.send('PUT /second HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n2');
    await expect.poll(() => client.text.match(/(GET|PUT) \d?/g), soon).toEqual(['GET ', 'PUT 2']);
  });

  it('closes an idle connection of the client when the target closes its own', async () => {
    await using set = await setUp();
    using client = rawClient(set.proxy.url, '/any');
    await expect.poll(() => client.text, soon).toContain('GET ');
    expect(client.ended).toBeUndefined();
    for (const socket of set.peer.sockets) socket.end();
    await expect.poll(() => client.ended, soon).toBe('fin');
  });

  it('sends the head of a stream at once and each piece as it comes', async () => {
    await using set = await setUp();
    using client = rawClient(set.proxy.url, '/events');
    await expect.poll(() => client.text, soon).toContain('Content-Type: text/event-stream\r\n');
    set.peer.send('data: half an ev');
    await expect.poll(() => bodyOf(client), soon).toBe('data: half an ev');
    expect(set.proxy.openStreams).toBe(1);
  });

  it('slows the sender down when the client does not read, and loses nothing', async () => {
    await using set = await setUp();
    const [response] = await once(request(`${set.proxy.url}/events`).end(), 'response');
    const piece = `data: ${'x'.repeat(1_000_000)}\n\n`;
    let sent = 0;
    // The kernel's buffers take some megabytes; without back-pressure this would go on to the limit.
    while (sent < 200 && set.peer.send(piece)) {
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const pending = [...set.peer.streams];
    expect(pending.map((stream) => stream.writableNeedDrain)).toEqual([true]);
    for (const stream of pending) stream.end();
    let bytes = 0;
    for await (const chunk of response) bytes += (chunk as Buffer).length;
    expect(bytes).toBe((sent + 1) * piece.length);
    expect(set.proxy.requests[0]).toMatchObject({ outcome: 'completed', events: sent + 1, bodyBytes: bytes });
  });

  it('tells the target when the client leaves', async () => {
    await using set = await setUp();
    const leaving = new AbortController();
    await fetch(`${set.proxy.url}/events`, { signal: leaving.signal });
    expect(set.peer.streams.size).toBe(1);
    leaving.abort();
    await expect.poll(() => set.peer.streams.size, soon).toBe(0);
    await set.proxy.waitForIdle();
    expect(set.proxy.requests[0]).toMatchObject({ outcome: 'aborted', stream: true });
    expect(set.proxy.openStreams).toBe(0);
  });

  it('shows the client how the target failed', async () => {
    const peer = await startPeer();
    await using proxy = await startFaultProxy({ target: peer.url });
    using broken = rawClient(proxy.url, '/break');
    await expect.poll(() => broken.ended, soon).toBe('rst');
    using open = rawClient(proxy.url, '/events');
    await proxy.waitForStreams(1);
    for (const socket of peer.sockets) socket.end();
    await expect.poll(() => open.ended, soon).toBe('fin');
    await peer[Symbol.asyncDispose]();
    using refused = rawClient(proxy.url, '/any');
    await expect.poll(() => refused.ended, soon).toBe('rst');
    expect(proxy.requests.map(({ outcome, error }) => [outcome, error])).toEqual([
      ['failed', 'ECONNRESET'],
      ['failed', 'ECONNRESET'],
      ['failed', 'ECONNREFUSED'],
    ]);
  });

  it('joins a connection that leaves HTTP with the target', async () => {
    await using set = await setUp();
    using client = rawClient(set.proxy.url, '/socket', { headers: { Connection: 'Upgrade', Upgrade: 'echo' } });
    await expect.poll(() => client.text, soon).toContain('101 Switching Protocols');
    client.send('over and back');
    await expect.poll(() => client.text, soon).toMatch(/\r\n\r\nover and back$/);
    expect(set.proxy.dropConnections('fin')).toBe(1);
    await expect.poll(() => client.ended, soon).toBe('fin');
    await expect.poll(() => set.peer.sockets.size, soon).toBe(0);
  });

  it('goes to another target when told, and keeps the path of its target in its url', async () => {
    await using set = await setUp();
    await using other = await startPeer();
    set.proxy.setTarget(other.url);
    await expect(outcomeOf(`${set.proxy.url}/any`)).resolves.toEqual([200, null, 'GET ']);
    expect([set.peer.received, other.received, set.proxy.target]).toEqual([[], ['GET /any'], other.url]);
    await using below = await startFaultProxy({ target: `${other.url}/v1/` });
    expect(below.url).toBe(`http://127.0.0.1:${below.port}/v1`);
  });
});

describe('faults at the request', () => {
  it.each(['rst', 'fin'] as const)('drop (%s) closes before the target has seen anything', async (how) => {
    await using set = await setUp({ fault: { type: 'drop', at: 'request', how } });
    using client = rawClient(set.proxy.url, '/any', post);
    await expect.poll(() => client.ended, soon).toBe(how);
    expect([client.text, set.peer.received]).toEqual(['', []]);
    expect(set.proxy.requests[0]).toMatchObject({
      outcome: 'dropped',
      forwarded: false,
      rule: 'rule 1',
      faults: [{ type: 'drop', rule: 'rule 1' }],
    });
  });

  it('stall holds it until resume() and loses nothing', async () => {
    await using set = await setUp({ name: 'wedge', times: 1, fault: { type: 'stall', at: 'request' } });
    const answer = outcomeOf(`${set.proxy.url}/any`, post);
    await set.proxy.waitForFaults(1, { type: 'stall', rule: 'wedge' });
    expect(set.peer.received).toEqual([]);
    expect(set.proxy.resume()).toBe(1);
    await expect(answer).resolves.toEqual([200, null, 'POST hello']);
  });

  it('stall and delay last as long as they say', async () => {
    await using set = await setUp(
      { when: { path: '/stall' }, fault: { type: 'stall', at: 'request', forMs: 60 } },
      { when: { path: '/delay' }, fault: { type: 'delay', at: 'response', ms: 60 } },
    );
    await Promise.all(['/stall', '/delay'].map((path) => outcomeOf(set.proxy.url + path)));
    const took = set.proxy.requests.map(({ startedAtMs, endedAtMs = 0 }) => endedAtMs - startedAtMs >= 59);
    expect(took).toEqual([true, true]);
  });

  it('answers in place of the target, and the connection goes on', async () => {
    await using set = await setUp(
      { nth: 1, fault: { type: 'respond', status: 503, headers: { 'retry-after': '1' }, body: { error: 'busy' } } },
      { nth: 1, fault: { type: 'html' } },
      { nth: 1, fault: { type: 'respond', status: 200, headers: { 'content-type': 'application/json' }, body: '{"half":' } },
      { nth: 1, fault: { type: 'html', at: 'response', status: 502 } },
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const answers = [];
    for (let index = 0; index < 5; index += 1) answers.push(await exchangeOn(agent, `${set.proxy.url}/any`, 'hello'));
    agent.destroy();
    const page = expect.stringContaining('<!doctype html>') as string;
    expect(answers).toEqual([
      [503, '{"error":"busy"}'],
      [200, page],
      [200, '{"half":'],
      [502, page],
      [200, 'POST hello'],
    ]);
    expect(set.peer.received).toHaveLength(2);
    const kept = set.proxy.requests.map(({ outcome, connection }) => [outcome, connection]);
    expect(kept).toEqual([...Array.from({ length: 4 }, () => ['answered', 1]), ['completed', 1]]);
  });

  it('garbage is no HTTP', async () => {
    await using set = await setUp({ fault: { type: 'garbage', text: 'SSH-2.0-Oops\r\n' } });
    await expect(outcomeOf(set.proxy.url)).resolves.toBe('HTTPParserError');
    using client = rawClient(set.proxy.url, '/');
    await expect.poll(() => [client.text, client.ended], soon).toEqual(['SSH-2.0-Oops\r\n', 'fin']);
  });
});

describe('faults at the response', () => {
  it.each(['rst', 'fin'] as const)('drop (%s) loses the answer after the target acted', async (how) => {
    await using set = await setUp({ when: { method: 'post' }, fault: { type: 'drop', at: 'response', how } });
    using client = rawClient(set.proxy.url, '/act', post);
    await expect.poll(() => client.ended, soon).toBe(how);
    expect([client.text, set.peer.received]).toEqual(['', ['POST /act']]);
    expect(set.proxy.requests[0]).toMatchObject({ outcome: 'dropped', forwarded: true });
  });

  it('stall never answers, though the target acted', async () => {
    await using set = await setUp({ fault: { type: 'stall', at: 'response' } });
    const signal = AbortSignal.timeout(300);
    await expect(outcomeOf(`${set.proxy.url}/act`, { ...post, signal })).resolves.toBe('TimeoutError');
    expect(set.peer.received).toEqual(['POST /act']);
    await set.proxy.waitForIdle();
    expect(set.proxy.requests[0]).toMatchObject({ outcome: 'aborted', faults: [{ type: 'stall' }] });
  });

  it('cuts a body of known length: fin leaves it short, end cannot do better', async () => {
    await using set = await setUp({ fault: { type: 'drop', at: { afterBytes: 3 }, how: 'end' } });
    using client = rawClient(set.proxy.url, '/any', post);
    await expect.poll(() => client.ended, soon).toBe('fin');
    expect(client.text).toMatch(/\r\n\r\nPOS$/);
  });
});

describe('rules', () => {
  it('match by method, path and head, count per rule, and go when removed', async () => {
    await using set = await setUp();
    const { proxy } = set;
    const status = (code: number) => ({ type: 'respond', status: code }) as const;
    proxy.rule({ when: { path: '/a', test: ({ query }) => query.get('x') === '1' }, fault: status(501) });
    proxy.rule({ when: { path: /^\/a\?x=2/g, method: 'POST' }, fault: status(502) });
    proxy.rule({ when: { path: '/a' }, nth: { from: 2, to: 3 }, times: 1, fault: status(503) });
    const remove = proxy.rule({ when: { path: '/b' }, fault: status(504) });
    const statusOf = async (path: string, init?: RequestInit) => (await fetch(proxy.url + path, init)).status;
    expect(await statusOf('/a?x=1')).toBe(501);
    expect(await statusOf('/a?x=2')).toBe(200);
    expect(await statusOf('/a?x=2', post)).toBe(502);
    expect(await statusOf('/a?x=2', post)).toBe(502);
    expect(await statusOf('/a')).toBe(503);
    expect(await statusOf('/a')).toBe(200);
    expect(await statusOf('/b')).toBe(504);
    remove();
    expect(await statusOf('/b')).toBe(200);
    proxy.clearRules();
    expect(await statusOf('/a?x=1')).toBe(200);
    expect(proxy.faults.map(({ rule, request: number }) => [rule, number])).toEqual([
      ['rule 1', 1],
      ['rule 2', 3],
      ['rule 2', 4],
      ['rule 3', 5],
      ['rule 4', 7],
    ]);
  });

  it('apply several faults in their order', async () => {
    await using set = await setUp({
      fault: [{ type: 'delay', ms: 1 }, { type: 'slice' }, { type: 'drop', at: { afterBytes: 2 }, how: 'fin' }],
    });
    using client = rawClient(set.proxy.url, '/any');
    await expect.poll(() => client.ended, soon).toBe('fin');
    expect(client.text).toMatch(/\r\n\r\nGE$/);
    expect(set.proxy.faults.map(({ type, bodyBytes }) => [type, bodyBytes])).toEqual([
      ['delay', 0],
      ['slice', 0],
      ['drop', 2],
    ]);
  });

  it.each([
    [{ fault: { type: 'explode' } }, 'fault[0].type'],
    [{ fault: { type: 'drop' } }, 'fault[0].at'],
    [{ fault: { type: 'respond', status: 9 } }, 'fault[0].status'],
    [{ fault: { type: 'slice', byte: 1 } }, 'unknown key "byte"'],
    [{ fault: { type: 'drop', at: { afterEvnt: 1 } } }, 'fault[0].at: expected "request", "response" or an object with'],
    [{ when: { path: 'events' }, fault: { type: 'html' } }, 'when.path'],
    [{ name: 'cut', nth: 0, fault: { type: 'html' } }, '"cut" cannot be used: nth'],
  ])('are refused when they say nothing that can be done: %j', async (rule, part) => {
    await using set = await setUp();
    const add = () => set.proxy.rule(rule as FaultRule);
    expect(add).toThrow(
      expect.objectContaining({ name: 'FaultProxyError', code: 'FAULT_RULE_INVALID', message: expect.stringContaining(part) as string }),
    );
  });

  it.each(['https://example.com', 'nonsense', 'http://user:word@127.0.0.1'])('a target must be a plain http: URL: %s', async (target) => {
    const options: FaultProxyOptions = { target };
    await expect(startFaultProxy(options)).rejects.toMatchObject({
      code: 'TARGET_INVALID',
      message: expect.not.stringContaining(target) as string,
    });
  });
});

describe('the whole proxy', () => {
  it('refuses connections for a while, breaks those that are open, and comes back on its port', async () => {
    await using set = await setUp();
    using stream = rawClient(set.proxy.url, '/events');
    await set.proxy.waitForStreams(1);
    set.proxy.refuse();
    await expect.poll(() => stream.ended, soon).toBe('rst');
    await expect(outcomeOf(set.proxy.url)).resolves.toBe('ECONNREFUSED');
    const startedAt = performance.now();
    await set.proxy.refuseFor(100);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(99);
    await expect(outcomeOf(set.proxy.url)).resolves.toEqual([200, null, 'GET ']);
    expect(set.proxy.faults).toMatchObject([{ type: 'drop', rule: null, request: 1 }]);
  });

  it('can keep open connections while it refuses new ones, and the last call decides', async () => {
    await using set = await setUp();
    using stream = rawClient(set.proxy.url, '/events');
    await set.proxy.waitForStreams(1);
    const first = set.proxy.refuseFor(50, { connections: 'keep' });
    set.proxy.refuse({ connections: 'keep' });
    await first;
    await expect(outcomeOf(set.proxy.url)).resolves.toBe('ECONNREFUSED');
    set.peer.send('data: still here\n\n');
    await expect.poll(() => bodyOf(stream), soon).toBe('data: still here\n\n');
    await set.proxy.accept();
    await expect(outcomeOf(set.proxy.url)).resolves.toEqual([200, null, 'GET ']);
  });

  it('says so when its port is lost', { timeout: 20_000 }, async () => {
    await using set = await setUp();
    set.proxy.refuse();
    await using thief = await startFaultProxy({ target: set.peer.url, port: set.proxy.port });
    await expect(set.proxy.accept()).rejects.toMatchObject({ code: 'PORT_LOST', message: `Port ${thief.port} was taken meanwhile.` });
  });

  it('stops: open requests end as closed, the port is free, and again is fine', async () => {
    await using peer = await startPeer();
    const proxy = await startFaultProxy({
      target: peer.url,
      rules: [{ when: { path: '/wait' }, fault: { type: 'stall', at: 'request' } }],
    });
    using stream = rawClient(proxy.url, '/events');
    using waiting = rawClient(proxy.url, '/wait');
    await proxy.waitForStreams(1);
    await proxy.waitForFaults(1);
    await proxy.stop();
    await proxy.stop();
    await expect.poll(() => [stream.ended, waiting.ended], soon).toEqual(['fin', 'fin']);
    await expect.poll(() => peer.sockets.size, soon).toBe(0);
    expect(proxy.requests.map(({ outcome }) => outcome)).toEqual(['closed', 'closed']);
    expect([proxy.openConnections, proxy.openStreams]).toEqual([0, 0]);
    await expect(outcomeOf(proxy.url)).resolves.toBe('ECONNREFUSED');
    await proxy.accept();
    await expect(outcomeOf(proxy.url)).resolves.toBe('ECONNREFUSED');
  });

  it('reset() takes rules away, lets stalled requests go on and forgets', async () => {
    await using set = await setUp({ fault: { type: 'stall', at: 'response' } });
    const answer = outcomeOf(set.proxy.url);
    await set.proxy.waitForFaults(1);
    set.proxy.reset();
    await expect(answer).resolves.toEqual([200, null, 'GET ']);
    expect([set.proxy.requests, set.proxy.faults]).toEqual([[], []]);
    await expect(outcomeOf(set.proxy.url)).resolves.toEqual([200, null, 'GET ']);
    expect(set.proxy.requests).toMatchObject([{ number: 1, rule: null }]);
  });

  it('says what is missing when a wait is in vain', async () => {
    await using set = await setUp();
    await outcomeOf(`${set.proxy.url}/a`);
    const waits = [
      set.proxy.waitForRequests(2, { path: '/a', timeoutMs: 10 }),
      set.proxy.waitForFaults(1, { type: 'drop', timeoutMs: 10 }),
      set.proxy.waitForStreams(1, { timeoutMs: 10 }),
    ];
    const messages = (await Promise.allSettled(waits)).map((result) => result.status === 'rejected' && (result.reason as Error).message);
    expect(messages).toEqual([
      'Waited 10 ms in vain for 2 requests of /a (there were 1).',
      'Waited 10 ms in vain for 1 drop faults (there were 0).',
      'Waited 10 ms in vain for 1 open event streams (there were 0).',
    ]);
  });
});
