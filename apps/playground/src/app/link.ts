import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { Json, RunInfo, RunRecord } from '../trace/format.ts';
import { ask } from './access.ts';

export interface LinkListener {
  onRecords(records: readonly RunRecord[]): void;
  /** Everything so far is void: another run, or more was missed than the server kept. */
  onReset(): void;
  onState(state: LinkState): void;
}

export type LinkState = 'connecting' | 'connected' | 'lost' | 'ended';

/** Wait before a lost connection is made again, in milliseconds, until the server names another. */
const retryMs = 500;

/**
 * The one event stream from a live run. It is read with `fetch`, because a browser's own reader sends no header with the token. A
 * connection that was lost is made again and names the last record that was seen, so that the server goes on behind it; what comes
 * twice nevertheless is dropped here.
 */
export class LiveLink {
  readonly #listener: LinkListener;
  readonly #closed = new AbortController();
  #retryMs = retryMs;
  #lastEventId = '';
  #seen = 0;

  constructor(listener: LinkListener) {
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
    const { ok, body } = await ask('./events', { headers, signal: this.#closed.signal, cache: 'no-store' });
    if (!ok || !body) return;
    this.#listener.onState('connected');
    const parser = createParser({ onEvent: (event) => this.#onEvent(event), onRetry: (ms) => (this.#retryMs = ms) });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) parser.feed(chunk.value);
  }

  #onEvent({ event, id, data }: EventSourceMessage): void {
    this.#lastEventId = id ?? this.#lastEventId;
    if (event === 'records') this.#take(JSON.parse(data) as RunRecord[]);
    else if (event === 'reset') this.#reset();
    else if (event === 'end') this.#end();
  }

  #take(records: readonly RunRecord[]): void {
    const fresh = records.filter(({ seq }) => seq > this.#seen);
    this.#seen = fresh.at(-1)?.seq ?? this.#seen;
    if (fresh.length > 0) this.#listener.onRecords(fresh);
  }

  #reset(): void {
    this.#seen = 0;
    this.#listener.onReset();
  }

  /** The run is over: a reconnect would find nobody. */
  #end(): void {
    this.#closed.abort();
    this.#listener.onState('ended');
  }
}

/** What kind of run the page was opened for: `refused` without access; a page without a server of ours simulates. */
export async function readRunInfo(): Promise<RunInfo | 'refused'> {
  const simulation: RunInfo = { mode: 'simulation', title: 'Simulation', control: false, content: false };
  const response = await ask('./run').catch(() => undefined);
  if (!response?.headers.get('content-type')?.includes('json')) return simulation;
  if (response.status === 401) return 'refused';
  return response.ok ? ((await response.json()) as RunInfo) : simulation;
}

/** Asks the live run to do something. Resolves with what went wrong, if anything did. */
export async function postCommand(command: {
  readonly actor: string;
  readonly type: string;
  readonly payload: Json;
}): Promise<string | undefined> {
  const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(command) };
  const response = await ask('./send', request).catch(() => undefined);
  if (!response) return 'The run does not answer.';
  if (response.ok) return undefined;
  const { message } = (await response.json().catch(() => ({}))) as { message?: string };
  return message ?? `The run refused it (${response.status}).`;
}
