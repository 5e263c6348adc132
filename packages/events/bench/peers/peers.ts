import { createOpencodeClient } from '@opencode-ai/sdk/v2/client';
import { EventSource } from 'eventsource';
import { createParser } from 'eventsource-parser';
import { Agent } from 'undici';
import { EventMonitor, type EventMonitorOptions } from '@opencode-manager/events';

/** What every subscriber is given of each event: its session, and its text when it is a delta. */
export type OnEvent = (sessionId: string | undefined, delta: string | undefined) => void;

/** A subscriber that is connected. */
interface Subscribed {
  close(): Promise<void>;
}

/** Connects one kind of subscriber to a server. Resolves when the stream is open. */
export type Subscribe = (credentials: { readonly url: string; readonly authorization: string }, onEvent: OnEvent) => Promise<Subscribed>;

interface WireEvent {
  readonly properties: { readonly sessionID?: string; readonly delta?: string; readonly info?: { readonly sessionID?: string } };
}

/** Our monitor, with one listener for everything. */
export const monitor =
  (options: EventMonitorOptions): Subscribe =>
  async (credentials, onEvent) => {
    const opened = EventMonitor.open({ credentials: () => credentials }, options);
    opened.on({}, (event) => onEvent(event.sessionId, event.type === 'part.delta' ? event.data.delta : undefined));
    await opened.ready();
    return opened;
  };

/** The official SDK's loop over its own subscription. */
export const sdk: Subscribe = async ({ url, authorization }, onEvent) => {
  const client = createOpencodeClient({ baseUrl: url, headers: { authorization } });
  const ending = new AbortController();
  const { stream } = await client.event.subscribe({}, { signal: ending.signal });
  const first = Promise.withResolvers<void>();
  void (async () => {
    for await (const event of stream) {
      deliver(event as unknown as WireEvent, onEvent);
      first.resolve();
    }
  })().catch(() => undefined);
  await first.promise;
  return { close: async () => ending.abort() };
};

/** The package `eventsource`. */
export const eventSource: Subscribe = async ({ url, authorization }, onEvent) => {
  const source = new EventSource(`${url}/event`, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, authorization } }),
  });
  const first = Promise.withResolvers<void>();
  source.addEventListener('message', ({ data }) => {
    deliver(JSON.parse(data as string) as WireEvent, onEvent);
    first.resolve();
  });
  await first.promise;
  return { close: async () => source.close() };
};

/** undici and eventsource-parser on the main thread, by hand. */
export const parser: Subscribe = async ({ url, authorization }, onEvent) => {
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const { body } = await agent.request({ origin: url, path: '/event', method: 'GET', headers: { authorization } });
  const first = Promise.withResolvers<void>();
  const events = createParser({
    onEvent: ({ data }) => {
      deliver(JSON.parse(data) as WireEvent, onEvent);
      first.resolve();
    },
  });
  const decoder = new TextDecoder();
  void (async () => {
    for await (const chunk of body as AsyncIterable<Buffer>) events.feed(decoder.decode(chunk, { stream: true }));
  })().catch(() => undefined);
  await first.promise;
  return { close: () => agent.destroy() };
};

function deliver({ properties }: WireEvent, onEvent: OnEvent): void {
  onEvent(properties.sessionID, properties.delta);
}
