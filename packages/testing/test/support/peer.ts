import { once } from 'node:events';
import { createServer, request as startRequest, type Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

/** A plain HTTP server with an event stream, to see what a proxy in front of it does. */
export interface Peer extends AsyncDisposable {
  readonly url: string;
  /** `METHOD /path` of every request that came in whole. */
  readonly received: readonly string[];
  readonly sockets: ReadonlySet<Socket>;
  readonly streams: ReadonlySet<ServerResponse>;
  /** The request that came last. */
  readonly last: IncomingMessage;
  /** Writes to every open stream; tells whether each took it without waiting. */
  send(text: string): boolean;
}

export async function startPeer(): Promise<Peer> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const streams = new Set<ServerResponse>();
  let last: IncomingMessage | undefined;
  const server = createServer((request, response) => {
    last = request;
    void answer(request, response, streams, () => received.push(`${request.method} ${request.url}`));
  });
  server.keepAliveTimeout = 0;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (_request, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    sockets,
    streams,
    get last() {
      return last as IncomingMessage;
    },
    send: (text) => [...streams].every((stream) => stream.write(text)),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, streams: Set<ServerResponse>, note: () => void): Promise<void> {
  const chunks: Buffer[] = [];
  request.on('error', () => undefined);
  for await (const chunk of request) chunks.push(chunk as Buffer);
  note();
  if (request.url?.startsWith('/events')) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.flushHeaders();
    streams.add(response);
    response.once('close', () => streams.delete(response));
  } else if (request.url === '/break') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => request.socket.resetAndDestroy());
  } else if (request.url === '/none') {
    response.writeHead(204).end();
  } else {
    response.setHeader('X-Peer', 'yes');
    response.end(Buffer.concat([Buffer.from(`${request.method} `), ...chunks]));
  }
}

interface RawRequest {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client on a bare socket: it sees how a connection ends, which HTTP clients hide. */
export class RawClient implements Disposable {
  /** Everything that came, heads and chunk sizes included. */
  text = '';
  /** The sizes of the reads in which it came. */
  readonly reads: number[] = [];
  /** How the connection ended; undefined while it is open. */
  ended: 'rst' | 'fin' | undefined;
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port });
    this.socket.on('data', (data) => {
      this.text += data.toString('latin1');
      this.reads.push(data.length);
    });
    this.socket.once('end', () => (this.ended ??= 'fin'));
    this.socket.once('error', () => (this.ended = 'rst'));
  }

  send(text: string): void {
    this.socket.write(text);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

export function rawClient(url: string, path: string, { method = 'GET', body = '', headers = {} }: RawRequest = {}): RawClient {
  const fields = Object.entries({ Host: 'client', 'Content-Length': String(Buffer.byteLength(body)), ...headers });
  const client = new RawClient(Number(new URL(url).port));
  client.send(`${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`);
  return client;
}

/** The text of a chunked body so far. */
export function bodyOf({ text }: Pick<RawClient, 'text'>): string {
  const [, ...rest] = text.split('\r\n\r\n');
  return rest
    .join('\r\n\r\n')
    .replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '')
    .replace(/\r\n$/, '');
}

/** The status of a request through this agent, and the body's text. */
export async function exchangeOn(agent: Agent, url: string, body = ''): Promise<[number | undefined, string]> {
  const sent = startRequest(url, { agent, method: 'POST' }).end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return [response.statusCode, text];
}

/** Status, type and text of a fetch, or the code of what went wrong. */
export async function outcomeOf(url: string, init?: RequestInit): Promise<unknown> {
  try {
    const response = await fetch(url, init);
    return [response.status, response.headers.get('content-type'), await response.text()];
  } catch (error) {
    const { cause, name } = error as Error & { cause?: { code?: string; name?: string } };
    return cause?.code ?? cause?.name ?? name;
  }
}
