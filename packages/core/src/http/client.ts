import { Agent, type Dispatcher } from 'undici';
import { OpencodeManagerError } from '../errors/index.ts';
import type { RequestSpec } from '../protocol/v1/requests.ts';
import { errorOfResponse } from './response-error.ts';

/** What another client needs to connect to a server of ours. Keep `password` and `authorization` out of logs. */
export interface ServerCredentials {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Value of the `authorization` header (`Basic ...`). */
  readonly authorization: string;
}

export interface CallOptions {
  /** Deadline in milliseconds; {@link defaultTimeoutMs} when absent. `Infinity` for calls that last as long as a turn. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The one place of this package that calls undici. One client serves one incarnation of a server. */
export interface HttpClient {
  /**
   * Sends one request and gives the JSON of its answer.
   * @throws OpencodeManagerError `REQUEST_TIMEOUT`, `REQUEST_ABORTED`, `CONNECTION_LOST`, `RESPONSE_INVALID`, or the code
   * of the server's own error body (see `response-error.ts`).
   */
  call<Response>(request: RequestSpec<Response>, options?: CallOptions): Promise<Response>;
  /** Ends all connections; calls in flight fail with `CONNECTION_LOST`. Idempotent. */
  close(): Promise<void>;
}

const defaultTimeoutMs = 15_000;

/**
 * Bodies above this size get a connection of their own: opencode 1.18 does not answer the last of several
 * multi-megabyte requests on one kept-alive connection.
 */
const ownConnectionAboveBytes = 256 * 1024;

/** Creates the client of one server incarnation. */
export function createHttpClient(credentials: Pick<ServerCredentials, 'url' | 'authorization'>): HttpClient {
  // Deadlines are ours, a call each: undici's own would end a long shell or command call after 300 s.
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5000 }, connections: 256, pipelining: 1 });
  let closed = false;
  return {
    call: (request, options = {}) => send(agent, credentials, request, options),
    async close() {
      if (closed) return;
      closed = true;
      await agent.destroy();
    },
  };
}

/** Sends one request through a dispatcher; see {@link HttpClient.call}. */
export async function send<Response>(
  agent: Agent,
  { url, authorization }: Pick<ServerCredentials, 'url' | 'authorization'>,
  request: RequestSpec<Response>,
  { timeoutMs = defaultTimeoutMs, signal }: CallOptions,
): Promise<Response> {
  const body = request.body === undefined ? null : JSON.stringify(request.body);
  const label = `${request.method} ${request.path}`;
  const deadline = createDeadline(timeoutMs, signal);
  try {
    const answer = await agent.request({
      origin: url,
      path: request.path + queryString(request.query),
      method: request.method,
      headers: { authorization, accept: 'application/json', ...(body !== null && { 'content-type': 'application/json' }) },
      body,
      reset: body !== null && body.length > ownConnectionAboveBytes,
      signal: deadline.signal,
    });
    return await readAnswer(answer, request, label);
  } catch (error) {
    if (error instanceof OpencodeManagerError) throw error;
    throw deadline.explain(error, label);
  } finally {
    deadline.clear();
  }
}

async function readAnswer<Response>(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  request: RequestSpec<Response>,
  label: string,
): Promise<Response> {
  const text = await body.text();
  const contentType = String(headers['content-type'] ?? '');
  if (statusCode >= 400) throw errorOfResponse({ statusCode, contentType, text, label });
  if (request.answer === 'empty') return undefined as Response;
  if (!contentType.includes('json')) {
    throw new OpencodeManagerError(
      'RESPONSE_INVALID',
      `${label}: expected JSON and received ${contentType || 'no content type'} (status ${statusCode}); this version of opencode does not know the route.`,
      { details: { statusCode, contentType } },
    );
  }
  try {
    return JSON.parse(text) as Response;
  } catch (error) {
    throw new OpencodeManagerError('RESPONSE_INVALID', `${label}: the answer is not valid JSON (${text.length} characters).`, {
      cause: error,
    });
  }
}

function queryString(query: RequestSpec['query']): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

/** One timer and one listener a call, both removed when the call ends. */
function createDeadline(timeoutMs: number, caller: AbortSignal | undefined) {
  const controller = new AbortController();
  let timedOut = false;
  const timer = Number.isFinite(timeoutMs)
    ? setTimeout(() => {
        timedOut = true;
        controller.abort();
      }, timeoutMs)
    : undefined;
  const onAbort = () => controller.abort();
  if (caller?.aborted) controller.abort();
  else caller?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      caller?.removeEventListener('abort', onAbort);
    },
    explain(error: unknown, label: string): OpencodeManagerError {
      if (timedOut) {
        return new OpencodeManagerError(
          'REQUEST_TIMEOUT',
          `${label}: no answer within ${timeoutMs} ms; whether the server acted on it is unknown.`,
          {
            details: { timeoutMs },
            cause: error,
          },
        );
      }
      if (caller?.aborted) return new OpencodeManagerError('REQUEST_ABORTED', `${label}: aborted by the caller.`, { cause: caller.reason });
      return new OpencodeManagerError('CONNECTION_LOST', `${label}: the connection to the server failed (${(error as Error).message}).`, {
        cause: error,
      });
    },
  };
}
