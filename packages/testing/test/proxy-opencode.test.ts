import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import {
  startFaultProxy,
  startScriptedModel,
  temporaryWorkspace,
  type FaultProxy,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '../src/index.ts';
import { startOpencode, textOf, type TestServer } from './support/opencode.ts';
import { bodyOf, outcomeOf, rawClient, type RawClient } from './support/peer.ts';

/** Events can come seconds after what they tell of on a busy machine. */
const soon = { timeout: 20_000 };
const text = 'one two three four five six seven eight nine ten';

let workspace: TemporaryWorkspace;
let model: ScriptedModel;
let server: TestServer;
/** Between the client and the server. */
let front: FaultProxy;
/** Between the server and its model. */
let back: FaultProxy;

beforeAll(async () => {
  workspace = await temporaryWorkspace();
  model = await startScriptedModel({
    rules: [
      {
        when: { user: 'ask first' },
        reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'echo hi', description: 'Greet' } }] }, 'Done.'],
      },
      { when: { user: 'slowly' }, reply: { text, tokensPerSecond: 20 } },
    ],
    default: text,
  });
  back = await startFaultProxy({ target: model.url });
  server = await startOpencode({ directory: workspace.path, config: { ...model.opencodeConfig({ baseURL: back.url }) } });
  front = await startFaultProxy({ target: server.url });
  await send('the first prompt of a directory takes long').then(settled);
});

afterEach(async () => {
  front.dropStreams();
  await front.accept();
  await front.waitForIdle();
  front.reset();
  await back.waitForIdle();
  back.reset();
  model.reset();
});

afterAll(async () => {
  await front?.stop();
  await server?.[Symbol.asyncDispose]();
  await back?.stop();
  await model?.stop();
  await workspace?.remove();
});

const at = (path: string) => `${front.url}${path}?directory=${encodeURIComponent(workspace.path)}`;

/** A prompt through the proxy in a session of its own; the session's id and what the client heard of it. */
async function send(prompt: string, body: Record<string, unknown> = {}): Promise<{ sessionId: string; answer: unknown }> {
  const sessionId = await server.createSession({ title: prompt, ...body });
  const answer = await outcomeOf(at(`/session/${sessionId}/prompt_async`), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ parts: [{ type: 'text', text: prompt }] }),
  });
  return { sessionId, answer };
}

interface Listed {
  readonly info: { readonly role: string; readonly finish?: string };
  readonly parts: Parameters<typeof textOf>[0]['parts'];
}

/** Resolves with the session's messages when its answer is finished. */
async function settled({ sessionId }: { sessionId: string }): Promise<Listed[]> {
  return vi.waitFor(async () => {
    const messages = await server.request<Listed[]>('GET', `/session/${sessionId}/message`);
    expect(messages.map(({ info }) => info.finish)).toContain('stop');
    return messages;
  }, soon);
}

async function openEvents(): Promise<RawClient> {
  const client = rawClient(front.url, '/global/event');
  await expect.poll(() => typesIn(client), soon).toContain('server.connected');
  return client;
}

/** The types of the events in whole records, in their order. */
function typesIn(client: RawClient, sessionId = ''): string[] {
  const records = bodyOf(client).split('\n\n').slice(0, -1);
  const payloads = records.map((record) => (JSON.parse(record.replace(/^data: /, '')) as { payload: { type: string } }).payload);
  return payloads
    .filter(({ type }) => type !== 'sync')
    .filter((payload) => JSON.stringify(payload).includes(sessionId))
    .map(({ type }) => type);
}

describe('between a client and the opencode server', () => {
  it('passes a whole turn and its events', async () => {
    using events = await openEvents();
    const { sessionId, answer } = await send('hello');
    expect(answer).toEqual([204, null, '']);
    await expect.poll(() => typesIn(events, sessionId), soon).toContain('session.idle');
    const deltas = typesIn(events, sessionId).filter((type) => type === 'message.part.delta');
    expect(deltas.length).toBeGreaterThan(0);
    expect(front.openStreams).toBe(1);
  });

  it.each(['rst', 'fin', 'end'] as const)('drops the event stream (%s) while a turn runs, which the turn survives', async (how) => {
    using events = await openEvents();
    const turn = await send('slowly');
    await expect.poll(() => typesIn(events, turn.sessionId), soon).toContain('message.part.delta');
    expect(front.dropStreams(how)).toBe(1);
    if (how === 'end') await expect.poll(() => events.text, soon).toMatch(/\r\n0\r\n\r\n$/);
    else await expect.poll(() => events.ended, soon).toBe(how);
    expect(typesIn(events, turn.sessionId)).not.toContain('session.idle');
    expect((await settled(turn)).map((message) => textOf(message as never))).toEqual(['slowly', text]);
  });

  it('cuts exactly before the turn ends, inside its last event, and when a permission is asked', async () => {
    front.rule({ nth: 1, when: { path: '/global/event' }, fault: { type: 'drop', at: { beforeEvent: '"type":"session.idle"' } } });
    front.rule({ nth: 1, when: { path: '/global/event' }, fault: { type: 'drop', at: { insideEvent: '"type":"session.idle"' } } });
    front.rule({ nth: 1, when: { path: '/global/event' }, fault: { type: 'drop', at: { beforeEvent: '"type":"permission.asked"' } } });
    const prompts = [['hello'], ['hello'], ['ask first', { permission: [{ permission: 'bash', pattern: '*', action: 'ask' }] }]] as const;
    const last: string[] = [];
    for (const [prompt, body] of prompts) {
      using events = await openEvents();
      await send(prompt, body);
      await expect.poll(() => events.ended, soon).toBe('rst');
      last.push(bodyOf(events).slice(-2) === '\n\n' ? 'whole' : 'half');
      expect(typesIn(events)).not.toContain('session.idle');
      expect(typesIn(events)).not.toContain('permission.asked');
    }
    expect(last).toEqual(['whole', 'half', 'whole']);
    const asked = await server.request<{ id: string }[]>('GET', '/permission');
    expect(asked).toHaveLength(1);
    await server.request('POST', `/permission/${asked[0]?.id}/reply`, { reply: 'once' });
  });

  it('stalls the event stream with the connection open and loses nothing', async () => {
    using events = await openEvents();
    front.stallStreams();
    const turn = await send('hello');
    await settled(turn);
    expect([typesIn(events, turn.sessionId), events.ended]).toEqual([[], undefined]);
    front.resume();
    await expect.poll(() => typesIn(events, turn.sessionId), soon).toContain('session.idle');
  });

  it('slices every byte of a turn and duplicates its idle', async () => {
    front.rule({ when: { path: '/global/event' }, fault: [{ type: 'slice' }, { type: 'duplicate', event: '"type":"session.idle"' }] });
    using events = await openEvents();
    const { sessionId } = await send('hello');
    const idles = () => typesIn(events, sessionId).filter((type) => type === 'session.idle').length;
    await expect.poll(idles, soon).toBe(2);
    expect(Math.max(...events.text.matchAll(/\r\n([0-9a-f]+)\r\n/g).map(([, size]) => Number.parseInt(size ?? '', 16)))).toBe(1);
  });

  it('loses the answer of prompt_async after the server took it, and a prompt before', async () => {
    front.rule({ nth: 1, when: { path: /\/prompt_async/ }, fault: { type: 'drop', at: 'response' } });
    front.rule({ nth: 1, when: { path: /\/prompt_async/ }, fault: { type: 'drop', at: 'request' } });
    const taken = await send('hello');
    expect(taken.answer).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    expect((await settled(taken)).map(({ info }) => info.role)).toEqual(['user', 'assistant']);
    const lost = await send('hello');
    expect(lost.answer).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
    await expect(server.request('GET', `/session/${lost.sessionId}/message`)).resolves.toEqual([]);
    expect(front.requests.map(({ outcome, forwarded }) => [outcome, forwarded])).toEqual([
      ['dropped', true],
      ['dropped', false],
    ]);
  });

  it('answers in place of the server, wedges it, and refuses connections', async () => {
    front.rule({ when: { path: '/config' }, nth: 1, fault: { type: 'respond', status: 503, body: 'busy' } });
    front.rule({ when: { path: '/config' }, nth: 1, fault: { type: 'html' } });
    front.rule({ when: { path: '/global/health' }, fault: { type: 'stall', at: 'request' } });
    await expect(outcomeOf(at('/config'))).resolves.toEqual([503, null, 'busy']);
    await expect(outcomeOf(at('/config'))).resolves.toEqual([200, 'text/html; charset=utf-8', expect.stringContaining('<html>')]);
    await expect(outcomeOf(at('/global/health'), { signal: AbortSignal.timeout(200) })).resolves.toBe('TimeoutError');
    front.refuse();
    // The first try may still go to a kept connection, which was reset.
    await expect.poll(() => outcomeOf(at('/config')), soon).toBe('ECONNREFUSED');
    await front.accept();
    await expect(outcomeOf(at('/config'))).resolves.toMatchObject([200, 'application/json', expect.stringContaining('scripted')]);
  });
});

describe('between the server and its model', () => {
  it.each([
    ['a cut in the middle of an event', { type: 'drop', at: { insideEvent: 4 } }],
    ['a refused call', { type: 'respond', status: 500, body: 'oops' }],
  ] as const)('%s is retried by opencode', async (_what, fault) => {
    back.rule({ when: { method: 'POST', path: '/v1/chat/completions' }, times: 1, fault });
    const messages = await settled(await send('hello'));
    expect(textOf(messages.at(-1) as never)).toContain(text);
    expect(back.requests.filter(({ rule }) => rule !== null).map(({ outcome }) => outcome)).toEqual([
      fault.type === 'drop' ? 'dropped' : 'answered',
    ]);
    expect(back.requests.at(-1)).toMatchObject({ outcome: 'completed', stream: true });
  });

  it('a stall keeps the session busy until resume()', async () => {
    back.rule({ when: { path: '/v1/chat/completions' }, times: 1, fault: { type: 'stall', at: { afterEvent: 3 } } });
    const turn = await send('hello');
    await back.waitForFaults(1, { type: 'stall' });
    await expect(server.request('GET', '/session/status')).resolves.toEqual({ [turn.sessionId]: { type: 'busy' } });
    expect(back.resume()).toBe(1);
    expect(textOf((await settled(turn)).at(-1) as never)).toBe(text);
  });
});
