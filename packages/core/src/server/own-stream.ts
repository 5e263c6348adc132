import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { readEventRecords, type HttpClient, type ServerCredentials } from '../http/index.ts';
import { isSealed, type ArrivedEvent, type ProtocolStream, type TurnError } from '../protocol/index.ts';

/** An event stream of our own, for a moment: the errors that opencode says there alone. */
export interface OwnStream {
  /** Resolves when all that was said before is heard, which also proves that the stream is subscribed; false when that took too long. */
  fence(client: HttpClient, directory: string): Promise<boolean>;
  /** Ends the listening. */
  stop(): Promise<void>;
}

/** Deadline for the first record of the stream, in milliseconds. */
const greetingMs = 5000;

/** An answer comes before the events that it follows; so long they are waited for, and so often the fence is sent meanwhile. */
const fence = { patienceMs: 10_000, repeatMs: 100 } as const;

/** Opens the stream; a signal ends the wait for it. opencode greets before it subscribes: what is said right after may be lost. */
export async function openOwnStream(
  credentials: ServerCredentials,
  protocol: ProtocolStream,
  onError: (error: TurnError, sessionId: string | undefined) => void,
  signal?: AbortSignal,
): Promise<OwnStream> {
  signal?.throwIfAborted();
  const frames = protocol.createReader();
  const greeted = Promise.withResolvers<void>();
  const fenceId = `ses_eventmonitorprobe${randomUUID().replaceAll('-', '')}`;
  const fenced = Promise.withResolvers<true>();
  const hear = (event: ArrivedEvent) => {
    if (event.sessionId === fenceId) fenced.resolve(true);
    if (event.type !== 'session.error') return;
    const { error } = (isSealed(event) ? protocol.open(event) : event.data) as { readonly error: TurnError };
    onError(error, event.sessionId);
  };
  const stream = readEventRecords(credentials, protocol.request(), (data) => {
    greeted.resolve();
    const frame = frames.read(data);
    if (frame.kind === 'event') hear(frame.event);
    if (frame.kind === 'events') for (const event of frame.events) hear(event);
  });
  const goOn = () => greeted.resolve();
  const tooLate = setTimeout(goOn, greetingMs);
  signal?.addEventListener('abort', goOn, { once: true });
  await greeted.promise;
  clearTimeout(tooLate);
  signal?.removeEventListener('abort', goOn);
  return {
    async fence(client, directory) {
      const untilMs = performance.now() + fence.patienceMs;
      if (!protocol.probe) return true;
      do {
        signal?.throwIfAborted();
        // The abort of a session that does not exist changes nothing and is announced behind all that was said before.
        await client.call(protocol.probe(fenceId, directory), signal && { signal }).catch(() => undefined);
        if (await Promise.race([fenced.promise, wait(fence.repeatMs, false)])) return true;
      } while (performance.now() < untilMs);
      return false;
    },
    stop: () => stream.stop(),
  };
}
