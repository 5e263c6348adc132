import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { ask } from './access.ts';

export type LinkState = 'connecting' | 'connected' | 'lost' | 'ended';

export interface EventStreamListener {
  onEvent(event: EventSourceMessage): void;
  onState(state: LinkState): void;
}

/** Wait before a lost connection is made again, in milliseconds, until the server names another. */
const retryMs = 500;

/**
 * An event stream of the page's server. It is read with `fetch`, because a browser's own reader sends no header with the token. A
 * connection that was lost is made again and names the last message that was seen, so that the server goes on behind it. The event `end`
 * ends it: a reconnect would find nobody.
 */
export class EventStream {
  readonly #path: string;
  readonly #listener: EventStreamListener;
  readonly #closed = new AbortController();
  #retryMs = retryMs;
  #lastEventId = '';

  constructor(path: string, listener: EventStreamListener) {
    this.#path = path;
    this.#listener = listener;
    void this.#follow();
  }

  close(): void {
    this.#closed.abort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      await this.#read().catch(() => undefined);
      if (signal.aborted) return;
      this.#listener.onState('lost');
      await new Promise((resolve) => setTimeout(resolve, this.#retryMs));
    }
  }

  /** Reads one connection to its end. */
  async #read(): Promise<void> {
    const headers = { accept: 'text/event-stream', ...(this.#lastEventId !== '' && { 'last-event-id': this.#lastEventId }) };
    const { ok, body } = await ask(this.#path, { headers, signal: this.#closed.signal, cache: 'no-store' });
    if (!ok || !body) return;
    this.#listener.onState('connected');
    const parser = createParser({ onEvent: (event) => this.#onEvent(event), onRetry: (ms) => (this.#retryMs = ms) });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) parser.feed(chunk.value);
  }

  #onEvent(event: EventSourceMessage): void {
    this.#lastEventId = event.id ?? this.#lastEventId;
    if (event.event !== 'end') return this.#listener.onEvent(event);
    this.#closed.abort();
    this.#listener.onState('ended');
  }
}
