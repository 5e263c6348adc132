import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createRawServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OpencodeManagerError, Redactor, runSocketPath, type RunRecord } from '@opencode-manager/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createClient, openManagerSocket, type Handlers } from '../src/manager-socket/index.ts';
import { findRoute, parseParameters, requestOf } from '../src/manager-socket/routes.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-socket-'));
  vi.stubEnv('TMPDIR', directory);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

const record = { runId: 'test-run-00000', managerPid: 1, directory: '/' } as unknown as RunRecord;

async function socketPath(): Promise<string> {
  const path = runSocketPath(record.runId);
  const { mkdir } = await import('node:fs/promises');
  await mkdir(join(path, '..'), { recursive: true });
  return path;
}

/** The socket with a few methods that need no server; the end-to-end tests use all of them on a real one. */
async function open(methods: Partial<Handlers>) {
  const path = await socketPath();
  const socket = await openManagerSocket(path, methods as Handlers, new Redactor());
  return { path, socket, client: createClient(record) };
}

const curl = async (path: string, ...args: string[]) =>
  (await promisify(execFile)('curl', ['--silent', '--unix-socket', path, ...args])).stdout;

describe('the manager socket', () => {
  test('is closed to others, and gone after close', async () => {
    const { path, socket } = await open({});
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await socket.close();
    await socket.close();
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test('answers curl with JSON, the version and a status', async () => {
    const { path, socket } = await open({ unrevert: async ({ session_id }) => ({ session_id }) });
    await using _ = socket;
    const headers = await curl(path, '--include', '--data', '{}', 'http://ocm/v1/sessions/ses_1/unrevert');
    expect(headers).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(headers).toContain('ocm-protocol: 1\r\n');
    expect(headers.split('\r\n\r\n')[1]).toBe('{"session_id":"ses_1"}\n');
    const refused = await curl(path, '--write-out', '%{http_code}', 'http://ocm/v1/nothing');
    expect(refused).toMatch(/^\{"error":\{"name":"OpencodeManagerError","code":"NOT_FOUND","message":"There is no GET \/v1\/nothing /);
    expect(refused).toMatch(/\n404$/);
  });

  test('passes errors on with code, details and causes', async () => {
    const error = new OpencodeManagerError('SNAPSHOTS_OFF', 'no snapshots', {
      details: { a: 1 },
      cause: new OpencodeManagerError('NOT_FOUND', 'below'),
    });
    const { socket, client } = await open({ unrevert: () => Promise.reject(error), events: { stream: () => Promise.reject(error) } });
    await using _ = socket;
    const told = (failed: unknown) => (failed as OpencodeManagerError).toJSON();
    expect(await client.call('unrevert', { session_id: 's' }).catch(told)).toEqual(error.toJSON());
    expect(await client.stream('events', {}).next().catch(told)).toEqual(error.toJSON());
  });

  test.each([
    ['a missing parameter', ['--data', '{}', 'http://ocm/v1/sessions/s/prompt']],
    ['an unknown parameter', ['http://ocm/v1/sessions?all=true']],
    ['a body that is no object', ['--data', '[1]', 'http://ocm/v1/sessions']],
    ['a body that is not JSON', ['--data', 'hello', 'http://ocm/v1/sessions']],
  ])('refuses %s', async (_name, args) => {
    const { path, socket } = await open({});
    await using _ = socket;
    expect(JSON.parse(await curl(path, ...args))).toMatchObject({ error: { code: 'BAD_REQUEST' } });
  });

  test('streams with back-pressure, and stops when the client goes', async () => {
    let sent = 0;
    const ended = Promise.withResolvers<number>();
    const { socket, client } = await open({
      events: {
        stream: async (_parameters, { send, signal }) => {
          const item = { type: 'other', text: 'x'.repeat(64 * 1024) } as never;
          while (!signal.aborted) {
            await send(item);
            sent += 1;
          }
          ended.resolve(sent);
          return null;
        },
      },
    });
    await using _ = socket;
    const reader = client.stream('events', {});
    for (let count = 0; count < 3; count += 1) expect(await reader.next()).toMatchObject({ done: false, value: { type: 'other' } });
    // Nobody reads now: the sender must come to a halt at what the pipes hold.
    let last = -1;
    const halted = () => {
      const before = last;
      last = sent;
      return sent === before;
    };
    await expect.poll(halted, { timeout: 10_000, interval: 200 }).toBe(true);
    expect(sent).toBeLessThan(500);
    // Who goes on reading gets the rest.
    for (let count = 0; count < 600; count += 1) await reader.next();
    await reader.return(null);
    expect(await ended.promise).toBeGreaterThan(600);
  });

  test('aborts what a client waits for when it closes', async () => {
    const arrived = Promise.withResolvers<void>();
    const { socket, client } = await open({
      unrevert: (_parameters, { signal }) => {
        arrived.resolve();
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new OpencodeManagerError('REQUEST_ABORTED', 'stopping')), { once: true }),
        );
      },
    });
    const call = client.call('unrevert', { session_id: 'ses_1' }).catch(({ code }: OpencodeManagerError) => code);
    await arrived.promise;
    await socket.close();
    expect(await call).toBe('REQUEST_ABORTED');
  });

  test('aborts in the manager what a client wants no more', async () => {
    const [arrived, aborted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { socket, client } = await open({
      unrevert: async ({ session_id }, { signal }) => {
        signal.addEventListener('abort', () => aborted.resolve(), { once: true });
        arrived.resolve();
        await aborted.promise;
        return { session_id };
      },
    });
    await using _ = socket;
    const leave = new AbortController();
    const call = client.call('unrevert', { session_id: 's' }, { signal: leave.signal }).catch(({ code }: OpencodeManagerError) => code);
    await arrived.promise;
    leave.abort();
    expect(await call).toBe('REQUEST_ABORTED');
    await aborted.promise;
  });
});

test('a body of many chunks is one value', async () => {
  const { socket, client } = await open({ createSession: async ({ title }) => ({ session_id: String(title?.length), directory: '/' }) });
  await using _ = socket;
  expect(await client.call('createSession', { title: 'ü'.repeat(3_000_000) })).toEqual({ session_id: '3000000', directory: '/' });
});

test.each([
  ['of another version', createServer((_request, response) => response.setHeader('ocm-protocol', '2').end('{}'))],
  ['that speaks no HTTP', createRawServer((socket) => socket.once('data', () => socket.end('{"id":0,"type":"error"}\n')))],
])('a manager %s is named as such', async (_name, server) => {
  const path = await socketPath();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const codeOf = ({ code }: OpencodeManagerError) => code;
  expect(await createClient(record).call('sessions', {}).catch(codeOf)).toBe('MANAGER_INCOMPATIBLE');
  expect(await createClient(record).stream('events', {}).next().catch(codeOf)).toBe('MANAGER_INCOMPATIBLE');
  await new Promise((resolve) => server.close(resolve));
});

test('a manager that dies in the middle of an answer is lost', async () => {
  const head = 'HTTP/1.1 200 OK\r\nocm-protocol: 1\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
  const server = createRawServer((socket) => socket.once('data', () => socket.write(`${head}a\r\ndata: {}\n\n\r\n`, () => socket.end())));
  const path = await socketPath();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const items = createClient(record).stream('events', {});
  expect(await items.next()).toEqual({ done: false, value: {} });
  await expect(items.next()).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  await expect(createClient(record).call('sessions', {})).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  await new Promise((resolve) => server.close(resolve));
});

test('no socket is no manager', async () => {
  await expect(createClient(record).call('sessions', {})).rejects.toMatchObject({ code: 'MANAGER_NOT_FOUND' });
});

test('parameters go where their route has them, and come back', () => {
  const sent = requestOf('prompt', { session_id: 'a/b', text: 't', timeout_ms: 5 });
  expect(sent).toEqual({ verb: 'POST', path: '/v1/sessions/a%2Fb/prompt', body: '{"text":"t","timeout_ms":5}' });
  expect(findRoute('POST', sent.path)).toEqual({ kind: 'method', method: 'prompt', inPath: { session_id: 'a/b' } });
  expect(requestOf('events', { type: ['a', 'b'], plane: 'stream' }).path).toBe('/v1/events?type=a&type=b&plane=stream');
  expect(parseParameters('events', { type: 'a' })).toEqual({ ok: true, parameters: { type: ['a'] } });
});
