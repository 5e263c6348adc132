import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { jsonText } from '../render/printable.ts';
import type { ErrorBody } from './answers.ts';

/**
 * Server-sent events of one answer. Each item is an event without a name; the last event is `end`, or `error`: a stream that stops without one
 * broke off.
 */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    // The client knows now that it is heard.
    response.flushHeaders();
  }

  /** Resolves when the client can take more: a slow reader slows the writer down. Without effect when the client has gone. */
  async send(item: unknown): Promise<void> {
    await this.#write(`data: ${jsonText(item)}\n\n`);
  }

  end(data: unknown): void {
    this.#last('end', data);
  }

  fail(error: ErrorBody): void {
    this.#last('error', error);
  }

  #last(event: string, data: unknown): void {
    if (!this.#response.destroyed) this.#response.end(`event: ${event}\ndata: ${jsonText(data)}\n\n`);
  }

  async #write(text: string): Promise<void> {
    const response = this.#response;
    if (response.destroyed || response.write(text)) return;
    const gone = new AbortController();
    const onClose = () => gone.abort();
    response.once('close', onClose);
    try {
      await once(response, 'drain', { signal: gone.signal });
    } catch {
      // Closed while it waited: there is nobody left to write to.
    } finally {
      response.off('close', onClose);
    }
  }
}
