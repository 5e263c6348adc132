import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isManagerError, OpencodeManagerError, type Redactor } from '@opencode-manager/core';
import type { Json, RunInfo } from '@opencode-manager/playground/trace';
import * as z from 'zod';
import { Access } from './access.ts';
import { EventFeed } from './event-feed.ts';
import type { Journal } from './journal.ts';
import { readPageFiles, type PageFile } from './page-files.ts';
import type { RunFeed } from './run-feed.ts';

export interface PageCommand {
  readonly actor: string;
  readonly type: string;
  readonly payload: Json;
}

export interface PageServerOptions {
  readonly info: RunInfo;
  /** 0 or absent: a free one. */
  readonly port?: number;
  /** Of a live run. */
  readonly journal?: Journal;
  /** Of a recorded run: the text of its file. */
  readonly trace?: () => Promise<string>;
  /** Of a run with a directory. It goes with the page. */
  readonly run?: RunFeed | undefined;
  /** Takes the secrets of a live run out of what the page is told. */
  readonly redactor?: Redactor;
  /** Carries out what the page asks for. */
  readonly onCommand?: (command: PageCommand) => Promise<void>;
}

/** A page that is being served. */
export interface PageServer extends AsyncDisposable {
  /** With a ticket in its fragment that opens it once. */
  readonly url: string;
  readonly port: number;
}

/** Nothing from anywhere else, in no frame, and no referrer. */
const headers = {
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

/** A command is a few hundred bytes; prompts do not pass here. */
const bodyLimit = 65_536;

const commandSchema = z.strictObject({ actor: z.string().max(200), type: z.string().max(100), payload: z.json() });

/**
 * Serves the playground on the loopback interface.
 * @throws OpencodeManagerError `PLAYGROUND_UNAVAILABLE`, `PORT_IN_USE`
 */
export async function servePage(options: PageServerOptions): Promise<PageServer> {
  const files = await readPageFiles();
  const server = createServer();
  const port = await listen(server, options.port ?? 0);
  const access = new Access(port);
  const feed = options.journal && new EventFeed(options.journal);
  const handler = new PageHandler({ options, files, access, feed });
  server.on('request', (request, response) => void handler.handle(request, response));
  return {
    url: `http://127.0.0.1:${port}/#token=${access.ticket}`,
    port,
    async [Symbol.asyncDispose]() {
      feed?.end();
      options.run?.[Symbol.dispose]();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 200).unref();
      });
    },
  };
}

async function listen(server: Server, port: number): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    // A connection that cannot be taken (no descriptor is left) must not end the run.
    server.on('error', () => undefined);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new OpencodeManagerError('PORT_IN_USE', `Port ${port} is taken. Name another, or none for a free one.`, { cause: error });
    throw new OpencodeManagerError('PLAYGROUND_UNAVAILABLE', `The playground cannot listen on port ${port} (${code}).`, { cause: error });
  }
  return (server.address() as AddressInfo).port;
}

interface HandlerParts {
  readonly options: PageServerOptions;
  readonly files: ReadonlyMap<string, PageFile>;
  readonly access: Access;
  readonly feed: EventFeed | undefined;
}

class PageHandler {
  readonly #parts: HandlerParts;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response);
    } catch (error) {
      const { redactor } = this.#parts.options;
      const told = redactor?.error(error) ?? error;
      const message = isManagerError(told) ? told.message : 'The request could not be handled.';
      if (!response.headersSent) send(response, isManagerError(error) ? 409 : 400, { message });
      else response.destroy();
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { access, files, options } = this.#parts;
    const refusal = access.refusalOf(request);
    if (refusal) return send(response, refusal.status, { message: refusal.message });
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
    // The page itself holds nothing of a run, and a browser fetches it without the token.
    const file = request.method === 'GET' ? files.get(pathname === '/' ? '/index.html' : pathname) : undefined;
    if (file) return sendFile(response, file);
    if (request.method === 'POST' && pathname === '/enter') return this.#admit(request, response);
    if (!access.isKnown(request)) return sendRefusal(response);
    if (request.method === 'POST')
      return pathname === '/send' ? this.#command(request, response) : send(response, 404, { message: 'There is nothing here.' });
    if (request.method !== 'GET') return send(response, 405, { message: 'GET and POST only.' });
    if (options.run && pathname === '/batch') return this.#batch(options.run, response);
    if (options.run && pathname === '/task') return this.#task(options.run, searchParams, response);
    return this.#data(pathname, request, response);
  }

  /** Takes the ticket of the printed address for the token. */
  #admit(request: IncomingMessage, response: ServerResponse): void {
    const token = this.#parts.access.exchange(request);
    if (token === undefined) sendRefusal(response);
    else send(response, 200, { token });
  }

  async #data(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { options, feed } = this.#parts;
    if (path === '/run') return send(response, 200, options.info);
    if (path === '/trace' && options.trace) {
      response.writeHead(200, { ...headers, 'content-type': 'application/jsonl; charset=utf-8' });
      response.end(await options.trace());
      return;
    }
    if (path === '/events' && feed) {
      response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
      feed.add(response, Number(request.headers['last-event-id'] ?? 0) || 0);
      return;
    }
    send(response, 404, { message: 'There is nothing here.' });
  }

  async #batch(run: RunFeed, response: ServerResponse): Promise<void> {
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
    await run.add(response);
  }

  async #task(run: RunFeed, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const attempt = Number(query.get('attempt') ?? Number.NaN);
    const task = await run.task(query.get('key') ?? '', Number.isInteger(attempt) ? attempt : undefined);
    if (task) send(response, 200, task);
    else send(response, 404, { message: 'The run has no such task.' });
  }

  async #command(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { info, onCommand } = this.#parts.options;
    if (!info.control || !onCommand)
      return send(response, 403, { message: 'This run takes no commands: it was started without --allow-control.' });
    if (!request.headers['content-type']?.startsWith('application/json')) return send(response, 415, { message: 'A command is JSON.' });
    const command = commandSchema.safeParse(JSON.parse(await readBody(request)));
    if (!command.success) return send(response, 400, { message: 'A command has an actor, a type and a payload.' });
    await onCommand(command.data);
    response.writeHead(204, headers).end();
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimit) throw new Error('The body is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sendRefusal(response: ServerResponse): void {
  send(response, 401, {
    message: 'Open the address that the command printed. It works once, in one browser; start the command again for another.',
  });
}

function sendFile(response: ServerResponse, { body, type }: PageFile): void {
  response.writeHead(200, { ...headers, 'content-type': type }).end(body);
}

function send(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(value));
}
