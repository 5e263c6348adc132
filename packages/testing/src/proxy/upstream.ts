import { request as startRequest, type ClientRequest, type IncomingMessage } from 'node:http';

import { asksAboutEvents } from './body-plan.ts';
import type { ClientConnection } from './connection.ts';
import type { NetworkFault } from './types.ts';

export interface ForwardOptions {
  readonly request: IncomingMessage;
  readonly connection: ClientConnection;
  readonly target: URL;
  readonly faults: readonly NetworkFault[];
}

/** Sends the request on as it comes in. `answer` rejects when the target breaks off before its head. */
export function forwardRequest({ request, connection, target, faults }: ForwardOptions): {
  outgoing: ClientRequest;
  answer: Promise<IncomingMessage>;
} {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = startRequest({
    host: target.hostname.replace(/^\[|\]$/g, ''),
    port: target.port || 80,
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: requestHeaders(request, target, faults.some(asksAboutEvents)),
    agent: connection.agent,
  });
  outgoing.once('socket', (socket) => connection.watch(socket));
  outgoing.once('response', resolve);
  outgoing.on('error', reject);
  request.pipe(outgoing);
  return { outgoing, answer: promise };
}

/** The names as they were written, in their order; only the host changes. */
function requestHeaders(request: IncomingMessage, target: URL, readable: boolean): string[] {
  const headers = withoutHeaders(request.rawHeaders, readable ? ['host', 'accept-encoding'] : ['host']);
  return ['Host', target.host, ...headers];
}

/** The head of an answer; without its length when the body is changed on the way. */
export function passableHeaders(answer: IncomingMessage, bodyChanges: boolean): string[] {
  return bodyChanges ? withoutHeaders(answer.rawHeaders, ['content-length']) : answer.rawHeaders;
}

function withoutHeaders(rawHeaders: readonly string[], names: readonly string[]): string[] {
  const pairs = Array.from({ length: rawHeaders.length / 2 }, (_, index) => rawHeaders.slice(2 * index, 2 * index + 2));
  return pairs.filter(([name = '']) => !names.includes(name.toLowerCase())).flat();
}

/** A connection that was closed in the middle is reported as a reset too; only the socket knows which it was. */
export function wasReset(outgoing: ClientRequest | undefined): boolean {
  return Boolean(outgoing?.socket?.errored);
}
