import { requests } from '@opencode-manager/core/protocol';
import { createParser } from 'eventsource-parser';
import { finished } from 'node:stream/promises';
import { Agent, type Dispatcher } from 'undici';

/** One record beyond this many characters ends the connection instead of filling the memory; 28 MB were seen. */
const maxRecordCharacters = 256 * 1024 * 1024;

const connectTimeoutMs = 5000;

export interface ConnectionOptions {
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
  const abort = new AbortController();
  const watchdog = startWatchdog(options.watchdogMs, () => abort.abort(`no byte for ${options.watchdogMs} ms`));
  const signal = AbortSignal.any([abort.signal, options.signal]);
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: connectTimeoutMs } });
  try {
    const answer = await request(agent, options, signal);
    const refusal = await refusalOf(answer);
    if (refusal) return refusal;
    await readBody(answer.body, options, watchdog.touch, (reason) => abort.abort(reason));
    return { reason: signal.aborted ? String(signal.reason) : 'the server ended the stream' };
  } catch (error) {
    return { reason: signal.aborted ? String(signal.reason) : describe(error as NodeJS.ErrnoException) };
  } finally {
    watchdog.stop();
    await agent.destroy().catch(() => undefined);
  }
}

/** Some of the system's errors have a code and no message. */
function describe({ message, code, name }: NodeJS.ErrnoException): string {
  return message || code || name;
}

function request(agent: Agent, { url, authorization }: ConnectionOptions, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { method, path } = requests.eventStream();
  return agent.request({
    origin: url,
    method,
    path,
    signal,
    headers: { authorization, accept: 'text/event-stream', 'cache-control': 'no-cache' },
  });
}

async function refusalOf({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<ConnectionEnd | undefined> {
  const contentType = String(headers['content-type'] ?? 'no content type');
  if (statusCode === 200 && contentType.includes('text/event-stream')) return undefined;
  await body.dump({ limit: 4096 });
  const reason = `the server answered ${statusCode} (${contentType}) instead of an event stream`;
  // A server in trouble may recover; one that does not know us or the route will not.
  return statusCode >= 500 || statusCode === 429 ? { reason } : { reason, statusCode };
}

/** Resolves at the body's end. Listens to its data: an iterator would cost each read several promises. */
async function readBody(
  body: Dispatcher.ResponseData['body'],
  options: ConnectionOptions,
  touch: () => void,
  fail: (reason: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  const parser = createParser({
    maxBufferSize: maxRecordCharacters,
    onEvent: ({ data }) => options.onRecord(data),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') fail(error.message);
    },
  });
  body.on('data', (chunk: Buffer) => {
    touch();
    parser.feed(decoder.decode(chunk, { stream: true }));
    options.onRead(chunk.length);
  });
  await finished(body);
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
