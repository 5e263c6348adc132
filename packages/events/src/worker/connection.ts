import { abortWith, createAgent, startExchange, type AnswerHead, type AnswerReader } from '@opencode-manager/core/http';
import type { RequestSpec } from '@opencode-manager/core/protocol';
import { createParser } from 'eventsource-parser';

/** One record beyond this many characters ends the connection instead of filling the memory; 28 MB were seen. */
const maxRecordCharacters = 256 * 1024 * 1024;

export interface ConnectionOptions {
  /** For the endless stream. */
  readonly request: RequestSpec<never>;
  readonly url: string;
  readonly authorization: string;
  /** Silence, in milliseconds, after which the connection counts as dead; the wait for the answer's head included. */
  readonly watchdogMs: number;
  /** Ends the connection; the reason's text becomes that of {@link ConnectionEnd}. */
  readonly signal: AbortSignal;
  /** The data of one record. */
  onRecord(data: string): void;
  /** A read of the socket has been taken apart; `bytes` is its size. */
  onRead(bytes: number): void;
}

/** Why a connection ended; `statusCode` when the server's answer was no event stream and asking again will not help. */
export interface ConnectionEnd {
  readonly reason: string;
  readonly statusCode?: number;
}

/** Reads one connection of the event stream to its end. Never rejects. */
export async function readEventStream(options: ConnectionOptions): Promise<ConnectionEnd> {
  const { request, url, authorization, signal, watchdogMs } = options;
  const agent = createAgent();
  const watchdog = startWatchdog(watchdogMs, () => exchange.abort(new Error(`no byte for ${watchdogMs} ms`)));
  const reader = new StreamReader(options, watchdog.touch);
  const { method, path } = request;
  const headers = { authorization, accept: 'text/event-stream', 'cache-control': 'no-cache' };
  const exchange = startExchange(agent, { origin: url, method, path, headers }, reader);
  const stopListening = abortWith(exchange, signal);
  try {
    await exchange.over;
    return { reason: 'the server ended the stream' };
  } catch (error) {
    return reader.refusal ?? { reason: describe(error as NodeJS.ErrnoException) };
  } finally {
    stopListening();
    watchdog.stop();
    await agent.destroy().catch(() => undefined);
  }
}

/** Some of the system's errors have a code and no message. */
function describe({ message, code, name }: NodeJS.ErrnoException): string {
  return message || code || name;
}

/** Takes the answer apart; what it throws ends the connection. */
class StreamReader implements AnswerReader {
  /** Set when the answer is no event stream. */
  refusal: ConnectionEnd | undefined;
  readonly #options: ConnectionOptions;
  readonly #touch: () => void;
  readonly #decoder = new TextDecoder();
  readonly #parser = createParser({
    maxBufferSize: maxRecordCharacters,
    onEvent: ({ data }) => this.#options.onRecord(data),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw error;
    },
  });

  constructor(options: ConnectionOptions, touch: () => void) {
    this.#options = options;
    this.#touch = touch;
  }

  onHead({ statusCode, contentType }: AnswerHead): void {
    if (statusCode === 200 && contentType.includes('text/event-stream')) return;
    const reason = `the server answered ${statusCode} (${contentType || 'no content type'}) instead of an event stream`;
    // A server in trouble may recover; one that does not know us or the route will not.
    this.refusal = statusCode >= 500 || statusCode === 429 ? { reason } : { reason, statusCode };
    throw new Error(reason);
  }

  onBytes(bytes: Buffer): void {
    this.#touch();
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    this.#options.onRead(bytes.length);
  }
}

/** A thread that was held up finds its timers due before it has read what waits in the socket: so it looks twice. */
function startWatchdog(silenceMs: number, bark: () => void): { touch: () => void; stop: () => void } {
  let lastByte = performance.now();
  const silent = () => performance.now() - lastByte >= silenceMs;
  const check = () => {
    if (silent()) setImmediate(() => silent() && bark());
  };
  const timer = setInterval(check, Math.max(10, Math.min(1000, silenceMs / 8)));
  return {
    touch: () => {
      lastByte = performance.now();
    },
    stop: () => clearInterval(timer),
  };
}
