import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Redactor } from '@opencode-manager/core';
import { openManagerSocket, parseReply, parseRequest, type Handlers } from '../src/manager-socket/index.ts';
import { readJsonLines, writeJsonLine } from '../src/manager-socket/json-lines.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-socket-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** The socket's protocol with a few methods that need no server; the end-to-end tests use all of them on a real one. */
async function open(methods: Partial<Handlers>) {
  const path = join(directory, 'manager.sock');
  const socket = await openManagerSocket(path, methods as Handlers, new Redactor());
  return { path, socket };
}

async function* talk(path: string, ...lines: (object | string)[]) {
  const socket = connect(path);
  for (const line of lines) socket.write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
  try {
    for await (const value of readJsonLines(socket)) yield parseReply(value);
  } finally {
    socket.destroy();
  }
}

async function firstReply(path: string, line: object | string) {
  for await (const reply of talk(path, line)) return reply;
  throw new Error('no reply');
}

describe('the manager socket', () => {
  test('is closed to others, and gone after close', async () => {
    const { path, socket } = await open({});
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await socket.close();
    await socket.close();
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test('answers each request under its id', async () => {
    const { path, socket } = await open({ unrevert: async ({ sessionId }) => ({ sessionId }) });
    await using _ = socket;
    expect(await firstReply(path, { id: 7, method: 'unrevert', params: { sessionId: 'ses_1' } })).toEqual({
      id: 7,
      type: 'result',
      value: { sessionId: 'ses_1' },
    });
  });

  test('passes errors on with code, details and causes', async () => {
    const error = new OpencodeManagerError('SNAPSHOTS_OFF', 'no snapshots', {
      details: { a: 1 },
      cause: new OpencodeManagerError('NOT_FOUND', 'below'),
    });
    const { path, socket } = await open({ unrevert: () => Promise.reject(error) });
    await using _ = socket;
    const reply = await firstReply(path, { id: 1, method: 'unrevert', params: { sessionId: 'ses_1' } });
    expect(reply).toEqual({ id: 1, type: 'error', error: error.toJSON() });
  });

  test.each([
    ['an unknown method', { id: 3, method: 'explode' }, 3],
    ['a missing parameter', { id: 4, method: 'abort', params: {} }, 4],
    ['an unknown parameter', { id: 5, method: 'sessions', params: { all: true } }, 5],
    ['a value that is no request', [1], 0],
    ['a line that is not JSON', 'hello', 0],
  ])('refuses %s', async (_name, line, id) => {
    const { path, socket } = await open({});
    await using _ = socket;
    expect(await firstReply(path, line)).toMatchObject({ id, type: 'error', error: { code: 'BAD_REQUEST' } });
  });

  test('streams with back-pressure, and stops when the client goes', async () => {
    let sent = 0;
    const ended = Promise.withResolvers<number>();
    const { path, socket } = await open({
      events: async (_params, { send, signal }) => {
        const item = { type: 'other', text: 'x'.repeat(64 * 1024) } as never;
        while (!signal.aborted) {
          await send(item);
          sent += 1;
        }
        ended.resolve(sent);
        return null;
      },
    });
    await using _ = socket;
    const reader = talk(path, { id: 1, method: 'events' });
    for (let count = 0; count < 3; count += 1) expect(await reader.next()).toMatchObject({ value: { id: 1, type: 'item' } });
    // Nobody reads now: the sender must come to a halt at what the pipes hold.
    let last = -1;
    await expect
      .poll(
        () => {
          const halted = sent === last;
          last = sent;
          return halted;
        },
        { timeout: 10_000, interval: 200 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(500);
    await reader.return(undefined);
    expect(await ended.promise).toBeLessThan(600);
  });

  test('aborts what a client waits for when it closes', async () => {
    const { path, socket } = await open({
      unrevert: (_params, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new OpencodeManagerError('REQUEST_ABORTED', 'stopping')), { once: true }),
        ),
    });
    const reply = firstReply(path, { id: 1, method: 'unrevert', params: { sessionId: 'ses_1' } });
    // The request must have arrived before the socket closes.
    const probe = await firstReply(path, { id: 2, method: 'abort', params: {} });
    expect(probe).toMatchObject({ id: 2, type: 'error' });
    await socket.close();
    expect(await reply).toMatchObject({ id: 1, type: 'error', error: { code: 'REQUEST_ABORTED' } });
  });
});

test('a line of many chunks is one value', async () => {
  const { path, socket } = await open({ createSession: async ({ title }) => ({ sessionId: String(title?.length), directory: '/' }) });
  await using _ = socket;
  const title = 'ü'.repeat(3_000_000);
  expect(await firstReply(path, { id: 1, method: 'createSession', params: { title } })).toEqual({
    id: 1,
    type: 'result',
    value: { sessionId: '3000000', directory: '/' },
  });
});

test('writing to a closed socket is not an error', async () => {
  const { path, socket } = await open({});
  const client = connect(path).on('error', () => undefined);
  await once(client, 'connect');
  const closed = once(client, 'close');
  client.resume();
  await socket.close();
  await closed;
  await expect(writeJsonLine(client, { id: 1 })).resolves.toBeUndefined();
  client.destroy();
});

test('requests are read with their parameters', () => {
  expect(parseRequest({ id: 1, method: 'prompt', params: { sessionId: 's', text: 't', timeoutMs: 5 } })).toEqual({
    ok: true,
    request: { id: 1, method: 'prompt', params: { sessionId: 's', text: 't', timeoutMs: 5 } },
  });
  expect(parseReply({ hello: 1 })).toBeUndefined();
});
