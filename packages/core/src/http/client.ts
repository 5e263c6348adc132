import { assertCallOptions, OpencodeManagerError } from '../errors/index.ts';
import { startDeadline } from './deadline-timer.ts';
import type { AnswerErrorReader, RequestSpec } from '../protocol/request.ts';
import { abortWith, createAgent, queryString, startExchange, WholeAnswer, type Agent, type Exchange } from './exchange.ts';
import type { Redactor } from '../secrets/index.ts';
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

/** One client serves one incarnation of a server. */
export interface HttpClient {
  /**
   * Sends one request and gives the JSON of its answer.
   * @throws OpencodeManagerError `REQUEST_TIMEOUT`, `REQUEST_ABORTED`, `CONNECTION_LOST`, `RESPONSE_INVALID`, or the code
   * of the server's own error body (`Protocol.readError`).
   */
  call<Response>(request: RequestSpec<Response>, options?: CallOptions): Promise<Response>;
  /** Ends all connections; calls in flight fail with `CONNECTION_LOST`. Idempotent. */
  close(): Promise<void>;
}

/** Deadline of a call that names none, in milliseconds. */
export const defaultTimeoutMs = 15_000;

/**
 * Bodies above this size get a connection of their own: opencode 1.18 does not answer the last of several
 * multi-megabyte requests on one kept-alive connection.
 */
const ownConnectionAboveBytes = 256 * 1024;

/** What a client needs to know of its server. Errors hold none of the secrets that the redactor knows. */
export interface ClientContext {
  readonly redactor: Redactor;
  readonly readError: AnswerErrorReader;
}

/** Creates the client of one server incarnation. */
export function createHttpClient(credentials: Pick<ServerCredentials, 'url' | 'authorization'>, context: ClientContext): HttpClient {
  const agent = createAgent({ connections: 256, pipelining: 1 });
  let closed = false;
  return {
    async call(request, options) {
      assertCallOptions(`${request.method} ${request.path}`, options);
      return send(agent, credentials, request, { ...options, ...context });
    },
    async close() {
      if (closed) return;
      closed = true;
      await agent.destroy();
    },
  };
}

/** Sends one request through a dispatcher; see {@link HttpClient.call}. */
async function send<Response>(
  agent: Agent,
  { url, authorization }: Pick<ServerCredentials, 'url' | 'authorization'>,
  request: RequestSpec<Response>,
  { timeoutMs = defaultTimeoutMs, signal, redactor, readError }: CallOptions & ClientContext,
): Promise<Response> {
  const body = request.body === undefined ? null : JSON.stringify(request.body);
  const label = `${request.method} ${request.path}`;
  if (signal?.aborted) throw abortedByCaller(label, signal);
  const answer = new WholeAnswer();
  const exchange = startExchange(
    agent,
    {
      origin: url,
      path: request.path + queryString(request.query),
      method: request.method,
      headers: { authorization, accept: 'application/json', ...(body !== null && { 'content-type': 'application/json' }) },
      body,
      reset: body !== null && body.length > ownConnectionAboveBytes,
    },
    answer,
  );
  const stopWatching = endInTime(exchange, label, timeoutMs, signal);
  try {
    await exchange.over;
  } catch (error) {
    throw error instanceof OpencodeManagerError ? error : connectionLost(label, error as Error);
  } finally {
    stopWatching();
  }
  return readAnswer(answer, request, { label, redact: (text) => redactor.text(text), readError });
}

function readAnswer<Response>(
  answer: WholeAnswer,
  request: RequestSpec<Response>,
  {
    label,
    redact,
    readError,
  }: { readonly label: string; readonly redact: (text: string) => string; readonly readError: AnswerErrorReader },
): Response {
  const { statusCode, contentType } = answer.head;
  const text = answer.text();
  if (statusCode >= 400) throw errorOfResponse({ statusCode, contentType, text: redact(text), label }, readError);
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
  } catch {
    // The error of the parser would repeat a piece of the answer.
    throw new OpencodeManagerError('RESPONSE_INVALID', `${label}: the answer is not valid JSON (${text.length} characters).`);
  }
}

/** Ends an exchange at its deadline, and when the caller wants so. One timer and one listener a call; the result removes both. */
function endInTime(exchange: Exchange, label: string, timeoutMs: number, caller: AbortSignal | undefined): () => void {
  const timer = startDeadline(timeoutMs, () => exchange.abort(timedOut(label, timeoutMs)));
  const stopListening = abortWith(exchange, caller, (signal) => abortedByCaller(label, signal));
  return () => {
    clearTimeout(timer);
    stopListening();
  };
}

function timedOut(label: string, timeoutMs: number): OpencodeManagerError {
  return new OpencodeManagerError(
    'REQUEST_TIMEOUT',
    `${label}: no answer within ${timeoutMs} ms; whether the server acted on it is unknown.`,
    {
      details: { timeoutMs },
    },
  );
}

function abortedByCaller(label: string, { reason }: AbortSignal): OpencodeManagerError {
  return new OpencodeManagerError('REQUEST_ABORTED', `${label}: aborted by the caller.`, { cause: reason });
}

function connectionLost(label: string, cause: Error): OpencodeManagerError {
  return new OpencodeManagerError('CONNECTION_LOST', `${label}: the connection to the server failed (${cause.message}).`, { cause });
}
