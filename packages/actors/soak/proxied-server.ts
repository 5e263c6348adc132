import { request } from 'node:http';
import { OpencodeManagerError, type OpencodeServer, type SessionOperations, type TurnRequest } from '@opencode-manager/core';
import type { FaultProxy } from '@opencode-manager/testing';

/** A server whose event stream and prompts pass through the proxy; so do those of each server that takes its place. */
export function throughProxy(server: OpencodeServer, proxy: FaultProxy): OpencodeServer {
  const route = (operations: SessionOperations): SessionOperations => ({
    ...operations,
    submit: (turn, options = {}) => submit(server, proxy, operations, turn, options.signal),
  });
  return {
    ...server,
    credentials: () => ({ ...server.credentials(), url: proxy.url }),
    createOperations: async (options) => route(await server.createOperations(options)),
    operations: (id, directory) => route(server.operations(id, directory)),
    async relaunch() {
      const next = await server.relaunch();
      proxy.setTarget(next.url);
      return throughProxy(next, proxy);
    },
  };
}

async function submit(
  server: OpencodeServer,
  proxy: FaultProxy,
  { id, directory }: SessionOperations,
  turn: TurnRequest,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (turn.kind !== 'prompt') throw new TypeError(`The soak sends prompts alone, not a ${turn.kind}.`);
  const url = new URL(server.protocol === 'v1' ? `/session/${id}/prompt_async` : `/api/session/${id}/prompt`, proxy.url);
  url.searchParams.set('directory', directory);
  const body = JSON.stringify(
    server.protocol === 'v1' ? { messageID: turn.messageId, parts: turn.parts } : { id: turn.messageId, text: textOf(turn) },
  );
  const headers = { authorization: server.credentials().authorization, 'content-type': 'application/json' };
  const status = await send(url, { method: 'POST', headers, ...(signal && { signal }) }, body).catch((cause: unknown) => {
    throw new OpencodeManagerError('CONNECTION_LOST', 'The connection broke before the answer.', { cause });
  });
  if (status >= 400) throw new OpencodeManagerError('SERVER_ERROR', `The prompt was answered with status ${status}.`);
}

function textOf({ parts }: Extract<TurnRequest, { kind: 'prompt' }>): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

function send(url: URL, options: { readonly method: string; readonly headers: Record<string, string> }, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ...options, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end(body);
  });
}
