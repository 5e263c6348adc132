// What a frame should be: the delay of a delta and the main thread's cost at 1,000 events a second, and its cost in a flood,
// for frames of different length.
//
//   pnpm bench frame
import { quantile, runCase, startSyntheticServer, threadCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import { StreamSupervisor } from '../src/host/stream-supervisor.ts';
import { decodeBatch } from '../src/worker/batch-text.ts';

await runCase({ frame: ({ frameMs = 16, events = 3000 }: Settings) => measure(frameMs, events) });

async function measure(frameMs: number, events: number): Promise<Metrics> {
  await using server = await startSyntheticServer();
  const stream = openStream(server.credentials(), frameMs);
  await stream.live.promise;
  const run = async (order: { readonly events: number; readonly eventsPerSecond: number }) => {
    stream.ended = Promise.withResolvers();
    stream.delaysMs.length = 0;
    const before = threadCpuUs();
    await server.flood({ sessions: 100, ...order });
    await stream.ended.promise;
    return (threadCpuUs() - before) / order.events;
  };
  await run({ events: 100_000, eventsPerSecond: 0 });
  const floodUs = await run({ events: 300_000, eventsPerSecond: 0 });
  const trickleUs = await run({ events, eventsPerSecond: 1000 });
  const [p50Ms, p99Ms] = [quantile(stream.delaysMs, 0.5), quantile(stream.delaysMs, 0.99)];
  await stream.close();
  return { p50Ms, p99Ms, trickleUsPerEvent: trickleUs, floodUsPerEvent: floodUs };
}

function openStream(credentials: { readonly url: string; readonly authorization: string }, frameMs: number) {
  const times = { watchdogMs: 25_000, reconnectMinMs: 100, reconnectMaxMs: 5000 };
  const state = {
    live: Promise.withResolvers<void>(),
    ended: Promise.withResolvers<void>(),
    delaysMs: [] as number[],
    close: () => supervisor.close(),
  };
  const fail = (error: Error) => state.live.reject(error);
  const supervisor: StreamSupervisor = new StreamSupervisor(
    { ...credentials, ...times, directory: undefined, coalesce: true, frameMs },
    {
      onMessage(message) {
        if (message.type === 'live') state.live.resolve();
        if (message.type !== 'batch') return;
        supervisor.acknowledge();
        for (const event of message.text.heads === '' ? [] : decodeBatch(message.text)) {
          if (event.type === 'part.delta') noteDelays(event.data.delta, state.delaysMs);
          else if (event.sessionId === 'ses_endofflood') state.ended.resolve();
        }
      },
      onLost: fail,
      onGivenUp: fail,
      beginning: () => ({ generation: 1, resume: null }),
    },
  );
  supervisor.start();
  return state;
}

/** Each delta holds the times of its sending; those of a flood hold none. */
function noteDelays(delta: string, delaysMs: number[]): void {
  if (!delta.startsWith('@')) return;
  const nowUs = Number(process.hrtime.bigint() / 1000n);
  for (const stamp of delta.split('@')) if (stamp !== '') delaysMs.push((nowUs - Number(stamp)) / 1000);
}
