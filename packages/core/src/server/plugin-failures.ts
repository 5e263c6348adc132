import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { readEventRecords, type HttpClient, type ServerCredentials } from '../http/index.ts';
import { isSealed, type ProtocolStream } from '../protocol/index.ts';

/** Listens for what opencode says about plugins: only on its stream, when a directory is met, and as errors of no session. */
export interface PluginWatch {
  /** Gives what was said up to now. Call it when the directory was met. */
  hear(client: HttpClient, directory: string): Promise<readonly string[]>;
  /** Ends the listening. */
  stop(): Promise<void>;
}

/** Deadline for the first record of the stream, in milliseconds. */
const greetingMs = 5000;

/** opencode greets before it subscribes. Until it meets a directory, nothing can prove the subscription; that takes longer than this. */
const subscriptionMs = 150;

/** An answer comes before the events that it follows; so long they are waited for, and so often the fence is sent meanwhile. */
const fence = { patienceMs: 10_000, repeatMs: 100 } as const;

export async function watchPlugins(credentials: ServerCredentials, protocol: ProtocolStream): Promise<PluginWatch> {
  const said = new Set<string>();
  const frames = protocol.createReader();
  const greeted = Promise.withResolvers<void>();
  const fenceId = `ses_eventmonitorprobe${randomUUID().replaceAll('-', '')}`;
  const fenced = Promise.withResolvers<true>();
  const stream = readEventRecords(credentials, protocol.request(), (data) => {
    greeted.resolve();
    const frame = frames.read(data);
    if (frame.kind !== 'event') return;
    const { event } = frame;
    if (event.sessionId === fenceId) fenced.resolve(true);
    if (!isSealed(event) && event.type === 'session.error' && event.sessionId === undefined) said.add(event.data.error.message);
  });
  const tooLate = setTimeout(greeted.resolve, greetingMs);
  await greeted.promise;
  clearTimeout(tooLate);
  await wait(subscriptionMs);
  return {
    async hear(client, directory) {
      const untilMs = performance.now() + fence.patienceMs;
      if (!protocol.probe) return [...said];
      do {
        // The abort of a session that does not exist changes nothing and is announced behind all that was said before.
        await client.call(protocol.probe(fenceId, directory)).catch(() => undefined);
        if (await Promise.race([fenced.promise, wait(fence.repeatMs, false)])) break;
      } while (performance.now() < untilMs);
      return [...said];
    },
    stop: () => stream.stop(),
  };
}
