import { Agent, type Dispatcher } from 'undici';

export type { Agent };

/** What the server says before its answer. */
export interface AnswerHead {
  readonly statusCode: number;
  /** Value of the `content-type` header; empty when there is none. */
  readonly contentType: string;
  /** All headers, by their names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Takes an answer as it comes. What it throws ends the exchange, and rejects `over`. */
export interface AnswerReader {
  onHead(head: AnswerHead): void;
  onBytes(bytes: Buffer): void;
}

/** A request and its answer, under way. */
export interface Exchange {
  /** Resolves when all of the answer was read. Rejects with the connection's error, or with the reason of an abort. */
  readonly over: Promise<void>;
  /** Ends it at once, its connection too. Without effect when it is over. */
  abort(reason: Error): void;
  /** Reads no more of the answer until `resume`: the server's writes wait. Without effect before the answer begins. */
  pause(): void;
  resume(): void;
}

export type ExchangeRequest = Pick<Dispatcher.DispatchOptions, 'origin' | 'path' | 'method' | 'headers' | 'body' | 'reset'>;

/** Connections to one server. Deadlines are the caller's, a call each: undici's own would end a long answer after 300 s. */
export function createAgent(options: Agent.Options = {}): Agent {
  return new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5000 }, ...options });
}

/**
 * Sends a request. It stands on undici's `dispatch`, below `request`, which makes a stream, an abort signal and their promises for
 * each call: nobody here needs them (docs/decisions/0010).
 */
export function startExchange(agent: Agent, request: ExchangeRequest, reader: AnswerReader): Exchange {
  const handler = new ExchangeHandler(reader);
  agent.dispatch(request, handler);
  return handler;
}

/** Ends an exchange when a signal wants so, with the reason that `explain` makes of it. The result stops listening. */
export function abortWith(exchange: Exchange, signal: AbortSignal | undefined, explain = reasonOf): () => void {
  const onAbort = () => exchange.abort(explain(signal!));
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return () => signal?.removeEventListener('abort', onAbort);
}

function reasonOf({ reason }: AbortSignal): Error {
  return new Error(String(reason));
}

class ExchangeHandler implements Exchange, Dispatcher.DispatchHandler {
  readonly over: Promise<void>;
  readonly #reader: AnswerReader;
  readonly #settle: PromiseWithResolvers<void>;
  #controller: Dispatcher.DispatchController | undefined;
  #abortReason: Error | undefined;

  constructor(reader: AnswerReader) {
    this.#reader = reader;
    this.#settle = Promise.withResolvers();
    this.over = this.#settle.promise;
  }

  abort(reason: Error): void {
    this.#abortReason ??= reason;
    this.#controller?.abort(this.#abortReason);
    // Its turn on the wire may come late, or never: nobody waits for that.
    this.#settle.reject(this.#abortReason);
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#abortReason) controller.abort(this.#abortReason);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx announces the answer that is still to come.
    if (statusCode >= 200) this.#reader.onHead({ statusCode, contentType: String(headers['content-type'] ?? ''), headers });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#reader.onBytes(chunk);
  }

  onResponseEnd(): void {
    this.#settle.resolve();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#settle.reject(error);
  }
}

/** Keeps the whole of an answer. */
export class WholeAnswer implements AnswerReader {
  head: AnswerHead = { statusCode: 0, contentType: '', headers: {} };
  readonly #chunks: Buffer[] = [];

  onHead(head: AnswerHead): void {
    this.head = head;
  }

  onBytes(bytes: Buffer): void {
    this.#chunks.push(bytes);
  }

  text(): string {
    const [first] = this.#chunks;
    return (this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks)).toString('utf8');
  }
}

/** With its question mark; empty when there is nothing to ask for. Values that are absent are left out. */
export function queryString(query: Readonly<Record<string, string | number | boolean | undefined>> | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}
