import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { OpencodeManagerError, toManagerError, type Redactor } from '@opencode-manager/core';
import { jsonText } from '../render/printable.ts';
import { statusOf, type Ends, type Items, type Results } from './answers.ts';
import { EventStream } from './event-stream.ts';
import { readBody } from './request-body.ts';
import { findRoute, parseParameters, protocolHeader, protocolMajor, queryOf, type GivenTo, type Method } from './routes.ts';

/** How long the end of the socket waits for clients that do not read their answers, in milliseconds. */
const unreadMs = 1000;

interface HandlerContext {
  /** Aborted when the client has gone or the socket closes. */
  readonly signal: AbortSignal;
}

interface StreamContext<Item> extends HandlerContext {
  /** Sends one item; resolves when the client can take more. */
  readonly send: (item: Item) => Promise<void>;
}

type Handler<Name extends Method> = Name extends keyof Items
  ? { stream(parameters: GivenTo<Name>, context: StreamContext<Items[Name]>): Promise<Ends[Name]> }
  : Name extends keyof Results
    ? (parameters: GivenTo<Name>, context: HandlerContext) => Promise<Results[Name]>
    : never;

/** The work behind each method. One that streams says so. */
export type Handlers = { readonly [Name in Method]: Handler<Name> };

export interface ManagerSocket extends AsyncDisposable {
  readonly path: string;
  /** Aborts what clients wait for, tells them, and removes the socket. Idempotent. */
  close(): Promise<void>;
}

/**
 * Serves HTTP on a Unix socket that only this user can open (mode 0600, in a directory of mode 0700). What clients are told goes
 * through the redactor, because they print it; the answer to `credentials` alone does not.
 * @throws the system's own error when the path cannot be used
 */
export async function openManagerSocket(path: string, handlers: Handlers, redactor: Redactor): Promise<ManagerSocket> {
  const closing = new AbortController();
  const requests = new Set<Promise<void>>();
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    const served = serve(request, response, { handlers, redactor, closing: closing.signal }).finally(() => requests.delete(served));
    requests.add(served);
  });
  await listen(server, path);
  await chmod(path, 0o600);
  const close = async () => {
    closing.abort();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // A client that reads nothing does not keep the manager from stopping.
    const impatient = setTimeout(() => server.closeAllConnections(), unreadMs);
    await Promise.allSettled(requests);
    clearTimeout(impatient);
    server.closeAllConnections();
    await closed;
    await rm(path, { force: true });
  };
  return { path, close, [Symbol.asyncDispose]: close };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      // A connection that cannot be taken (no descriptor is left) must not end the run.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

interface Service {
  readonly handlers: Handlers;
  readonly redactor: Redactor;
  readonly closing: AbortSignal;
}

/** Answers one request. Never rejects. */
async function serve(request: IncomingMessage, response: ServerResponse, service: Service): Promise<void> {
  const { redactor, closing } = service;
  const gone = new AbortController();
  const finished = new Promise<void>((resolve) => response.once('close', resolve));
  response.once('close', () => gone.abort());
  response.on('error', () => gone.abort());
  response.setHeader(protocolHeader, String(protocolMajor));
  // One connection a request: a manager that stops waits for no idle one.
  response.setHeader('connection', 'close');
  const signal = AbortSignal.any([gone.signal, closing]);
  try {
    const { method, parameters } = await readRequest(request);
    await answer(response, { method, parameters, signal, ...service });
  } catch (error) {
    refuse(response, redactor.error(toManagerError(error)));
  }
  await finished;
}

async function readRequest(request: IncomingMessage): Promise<{ readonly method: Method; readonly parameters: unknown }> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://ocm');
  const found = findRoute(request.method ?? '', pathname);
  if (found.kind === 'unknown')
    throw new OpencodeManagerError(
      'NOT_FOUND',
      `There is no ${request.method} ${pathname} in version ${protocolMajor} of the protocol. GET /v${protocolMajor} says who answers.`,
    );
  const { method, inPath } = found;
  const given = request.method === 'GET' ? queryOf(searchParams) : await readBody(request);
  const parsed = parseParameters(method, { ...given, ...inPath });
  if (parsed.ok) return { method, parameters: parsed.parameters };
  throw new OpencodeManagerError('BAD_REQUEST', `${request.method} ${pathname}: ${parsed.problem}.`);
}

interface Work extends Service {
  readonly method: Method;
  readonly parameters: unknown;
  readonly signal: AbortSignal;
}

async function answer(response: ServerResponse, { method, parameters, handlers, redactor, signal }: Work): Promise<void> {
  const clean = <Told>(told: Told): Told => (method === 'credentials' ? told : redactor.json(told));
  // Method and parameters belong together: parseParameters has paired them.
  const handler = handlers[method] as
    | ((parameters: unknown, context: HandlerContext) => Promise<unknown>)
    | { stream(parameters: unknown, context: StreamContext<unknown>): Promise<unknown> };
  if (typeof handler === 'function') return sendJson(response, 200, clean(await handler(parameters, { signal })));
  // The head goes out with the first item: what is refused before has a status of its own.
  let stream: EventStream | undefined;
  const open = () => (stream ??= new EventStream(response));
  try {
    const work = handler.stream(parameters, { signal, send: (item) => open().send(clean(item)) });
    // What waits for its first item is heard: a client that waits for the head is not told of a refusal any more.
    setImmediate(() => !response.headersSent && !response.destroyed && open());
    const last = await work;
    open().end(clean(last));
  } catch (error) {
    if (!stream) throw error;
    stream.fail({ error: redactor.error(toManagerError(error)).toJSON() });
  }
}

function refuse(response: ServerResponse, error: OpencodeManagerError): void {
  if (response.headersSent) return void response.destroy();
  const body = error.toJSON();
  sendJson(response, statusOf(body), { error: body });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${jsonText(value)}\n`);
}
