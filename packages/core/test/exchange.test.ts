import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { abortWith, createAgent, queryString, startExchange, WholeAnswer, type AnswerReader } from '../src/http/exchange.ts';

/** One request to a server of the test's own. */
async function exchanged(server: Server, reader: AnswerReader = new WholeAnswer(), origin?: string) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = createAgent();
  const { port } = server.address() as AddressInfo;
  const exchange = startExchange(agent, { origin: origin ?? `http://127.0.0.1:${port}`, path: '/', method: 'GET' }, reader);
  exchange.over.catch(() => undefined);
  return {
    exchange,
    async [Symbol.asyncDispose]() {
      await agent.destroy();
      server.close();
      if ('closeAllConnections' in server) (server as ReturnType<typeof createServer>).closeAllConnections();
    },
  };
}

const http = (listener: RequestListener) => createServer(listener);

test('an answer in pieces is one text, characters that were cut included', async () => {
  const bytes = Buffer.from('{"word":"Grüße"}');
  const answer = new WholeAnswer();
  await using sent = await exchanged(
    http((_request, response) => {
      response.writeProcessing();
      response.writeHead(202, { 'content-type': 'application/json' });
      Readable.from(Array.from(bytes, (byte) => Buffer.of(byte))).pipe(response);
    }),
    answer,
  );
  await sent.exchange.over;
  expect(answer.head).toMatchObject({ statusCode: 202, contentType: 'application/json' });
  expect(JSON.parse(answer.text())).toEqual({ word: 'Grüße' });
});

test('an empty answer is an empty text', async () => {
  const answer = new WholeAnswer();
  await using sent = await exchanged(
    http((_request, response) => void response.writeHead(204).end()),
    answer,
  );
  await sent.exchange.over;
  expect(answer.head).toMatchObject({ statusCode: 204, contentType: '' });
  expect(answer.text()).toBe('');
});

test('an abort in the middle of an answer ends it at once, with its reason, and the connection with it', async () => {
  const closed = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using sent = await exchanged(
    http((_request, response) => {
      response.on('close', closed.resolve);
      response.write('a beginning');
    }),
    { onHead: () => undefined, onBytes: () => begun.resolve() },
  );
  await begun.promise;
  sent.exchange.abort(new Error('enough'));
  await expect(sent.exchange.over).rejects.toThrow('enough');
  await closed.promise;
});

test('an abort before the server has answered, or even heard of it, ends the wait', async () => {
  const heard = Promise.withResolvers<void>();
  await using unanswered = await exchanged(http(() => heard.resolve()));
  await heard.promise;
  unanswered.exchange.abort(new Error('too late'));
  await expect(unanswered.exchange.over).rejects.toThrow('too late');
  await using unsent = await exchanged(http((_request, response) => void response.end()));
  unsent.exchange.abort(new Error('not sent'));
  await expect(unsent.exchange.over).rejects.toThrow('not sent');
});

test('an exchange ends with a signal, one that was aborted before too, and not after the listening has stopped', async () => {
  await using sent = await exchanged(http(() => undefined));
  const stopped = new AbortController();
  abortWith(sent.exchange, stopped.signal)();
  stopped.abort('nobody listens');
  abortWith(sent.exchange, AbortSignal.abort('over before it began'));
  await expect(sent.exchange.over).rejects.toThrow('over before it began');
});

test('what a reader throws ends the exchange', async () => {
  await using sent = await exchanged(
    http((_request, response) => void response.end('text')),
    {
      onHead() {
        throw new Error('not what was asked for');
      },
      onBytes: () => undefined,
    },
  );
  await expect(sent.exchange.over).rejects.toThrow('not what was asked for');
});

test('a connection that breaks off, and one that is refused, say so', async () => {
  await using broken = await exchanged(createTcpServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')));
  await expect(broken.exchange.over).rejects.toThrow(/closed|socket/);
  await using refused = await exchanged(
    http(() => undefined),
    new WholeAnswer(),
    'http://127.0.0.1:1',
  );
  await expect(refused.exchange.over).rejects.toThrow(/ECONNREFUSED/);
});

test('a query leaves out what is absent, and escapes the rest', () => {
  expect(queryString(undefined)).toBe('');
  expect(queryString({ directory: undefined })).toBe('');
  expect(queryString({ directory: '/a b', limit: 5, before: undefined })).toBe('?directory=%2Fa+b&limit=5');
});
