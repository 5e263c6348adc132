import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { OpencodeManagerError, toManagerError, type Redactor } from '@opencode-manager/core';
import { readJsonLines, writeJsonLine } from './json-lines.ts';
import { parseRequest, type Items, type Method, type ParametersOf, type Reply, type Request, type Results } from './protocol.ts';

/** What a handler is given besides its parameters. */
interface HandlerContext<Name extends Method> {
  /** Aborted when the client has gone or the socket closes. */
  readonly signal: AbortSignal;
  /** Sends one item; resolves when the client can take more. */
  readonly send: (item: Name extends keyof Items ? Items[Name] : never) => Promise<void>;
}

/** The work behind each method. */
export type Handlers = { readonly [Name in Method]: (params: ParametersOf<Name>, context: HandlerContext<Name>) => Promise<Results[Name]> };

export interface ManagerSocket extends AsyncDisposable {
  readonly path: string;
  /** Aborts what clients wait for, tells them, and removes the socket. Idempotent. */
  close(): Promise<void>;
}

/**
 * Listens on a Unix socket that only this user can open (mode 0600, in a directory of mode 0700). What clients are told goes
 * through the redactor, because they print it; the answer to `credentials` alone does not.
 * @throws the system's own error when the path cannot be used
 */
export async function openManagerSocket(path: string, handlers: Handlers, redactor: Redactor): Promise<ManagerSocket> {
  const closing = new AbortController();
  const connections = new Set<Promise<void>>();
  const server = createServer((socket) => {
    const connection = serveConnection(socket, { handlers, redactor }, closing.signal).finally(() => connections.delete(connection));
    connections.add(connection);
  });
  await listen(server, path);
  await chmod(path, 0o600);
  const close = async () => {
    closing.abort();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.allSettled(connections);
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
}

async function serveConnection(socket: Socket, service: Service, closing: AbortSignal): Promise<void> {
  const gone = new AbortController();
  const calls = new Set<Promise<void>>();
  socket.on('error', () => gone.abort());
  socket.on('close', () => gone.abort());
  // Read side only: calls in flight still answer before the connection ends.
  const stopReading = () => void Promise.allSettled(calls).then(() => socket.end(() => socket.destroy()));
  closing.addEventListener('abort', stopReading, { once: true });
  const signal = AbortSignal.any([gone.signal, closing]);
  try {
    for await (const value of readJsonLines(socket)) {
      const call = answer(socket, value, service, signal).finally(() => calls.delete(call));
      calls.add(call);
    }
  } catch (error) {
    if (!gone.signal.aborted) await reply(socket, { id: 0, type: 'error', error: toManagerError(error).toJSON() });
  } finally {
    gone.abort();
    closing.removeEventListener('abort', stopReading);
    await Promise.allSettled(calls);
    socket.end(() => socket.destroy());
  }
}

async function answer(socket: Socket, value: unknown, { handlers, redactor }: Service, signal: AbortSignal): Promise<void> {
  const parsed = parseRequest(value);
  if (!parsed.ok) {
    const error = new OpencodeManagerError(
      'BAD_REQUEST',
      `The manager does not understand the request (${parsed.problem}). Use an ocm of the same version.`,
    );
    return await reply(socket, { id: parsed.id, type: 'error', error: error.toJSON() });
  }
  const { id, method } = parsed.request;
  const clean = <Told>(told: Told): Told => (method === 'credentials' ? told : redactor.json(told));
  const send = (item: unknown) => reply(socket, { id, type: 'item', value: clean(item) });
  try {
    const result = await dispatch(parsed.request, handlers, { signal, send });
    await reply(socket, { id, type: 'result', value: clean(result) });
  } catch (error) {
    await reply(socket, { id, type: 'error', error: redactor.error(toManagerError(error)).toJSON() });
  }
}

function dispatch(
  { method, params }: Request,
  handlers: Handlers,
  context: { signal: AbortSignal; send(item: unknown): Promise<void> },
): Promise<unknown> {
  // The union of methods and the union of parameters belong together: parseRequest paired them.
  const handler = handlers[method] as (params: unknown, context: unknown) => Promise<unknown>;
  return handler(params, context);
}

function reply(socket: Socket, line: Reply): Promise<void> {
  return writeJsonLine(socket, line);
}
