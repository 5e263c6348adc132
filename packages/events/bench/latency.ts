// How long an event takes from the server's write to the subscriber, at 1,000 events a second from 100 sessions.
//
//   pnpm bench latency
//
// Each delta carries the time of its sending on the machine's monotonic clock; a joined delta carries several.
import { quantile, runCase, startSyntheticServer, threadCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import { eventSource, monitor, parser, sdk, type Subscribe } from './peers/peers.ts';

await runCase({
  'low latency': (settings) => latency(monitor({ latency: 'low' }), settings),
  frame: (settings) => latency(monitor({}), settings),
  SDK: (settings) => latency(sdk, settings),
  eventsource: (settings) => latency(eventSource, settings),
  'undici + parser': (settings) => latency(parser, settings),
});

async function latency(subscribe: Subscribe, { sessions = 100, events = 5000, eventsPerSecond = 1000 }: Settings): Promise<Metrics> {
  await using server = await startSyntheticServer();
  const delaysMs: number[] = [];
  let ended = Promise.withResolvers<void>();
  const subscribed = await subscribe(server.credentials(), (sessionId, delta) => {
    if (delta !== undefined) noteDelays(delta, delaysMs);
    else if (sessionId === 'ses_endofflood') ended.resolve();
  });
  await server.flood({ sessions, events: 500, eventsPerSecond });
  await ended.promise;
  delaysMs.length = 0;
  ended = Promise.withResolvers();
  const before = threadCpuUs();
  await server.flood({ sessions, events, eventsPerSecond });
  await ended.promise;
  const used = threadCpuUs() - before;
  await subscribed.close();
  return { p50Ms: quantile(delaysMs, 0.5), p99Ms: quantile(delaysMs, 0.99), mainThreadUsPerEvent: used / events };
}

function noteDelays(delta: string, delaysMs: number[]): void {
  const nowUs = Number(process.hrtime.bigint() / 1000n);
  for (const stamp of delta.split('@')) if (stamp !== '') delaysMs.push((nowUs - Number(stamp)) / 1000);
}
