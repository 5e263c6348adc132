// The event stream in a flood: what the main thread pays for an event, how late its timers come, how many events pass.
//
//   pnpm bench flood
//
// A synthetic server in a process of its own sends what 100 working sessions send (85 % deltas) as fast as the client
// takes it. Ours reads /global/event, with the number of each stored event as a record beside it; the peers read /event,
// which has about an eighth fewer records: the difference is to their advantage. An event counts once, however it is sent.
import {
  processCpuUs,
  runCase,
  startSyntheticServer,
  threadCpuUs,
  watchEventLoop,
  type Metrics,
  type Settings,
} from '@opencode-manager/bench';
import { eventSource, monitor, parser, sdk, type OnEvent, type Subscribe } from './peers/peers.ts';
import { Tally } from './peers/tally.ts';

await runCase({
  coalesced: (settings) => flood(monitor({}), settings),
  'every delta': (settings) => flood(monitor({ coalesce: false }), settings),
  SDK: (settings) => flood(sdk, settings),
  eventsource: (settings) => flood(eventSource, settings),
  'undici + parser': (settings) => flood(parser, settings),
});

async function flood(subscribe: Subscribe, { sessions = 100, events = 300_000 }: Settings): Promise<Metrics> {
  await using server = await startSyntheticServer();
  let tally = new Tally('none');
  const onEvent: OnEvent = (sessionId, delta) => tally.take(sessionId, delta);
  const subscribed = await subscribe(server.credentials(), onEvent);
  const one = async (count: number) => {
    tally = new Tally('ses_endofflood');
    const { deltaCharacters } = await server.flood({ sessions, events: count, eventsPerSecond: 0 });
    await tally.ended;
    if (tally.deltaCharacters !== deltaCharacters) throw new Error(`${tally.deltaCharacters} of ${deltaCharacters} characters came`);
  };
  // The compiler's work on hot code is not the price of an event.
  await one(Math.min(500_000, events));
  const metrics = await measure(
    () => one(events),
    events,
    () => tally.durationMs,
  );
  await subscribed.close();
  return metrics;
}

async function measure(run: () => Promise<void>, events: number, durationMs: () => number): Promise<Metrics> {
  const eventLoop = watchEventLoop();
  const before = { thread: threadCpuUs(), process: processCpuUs() };
  await run();
  const used = { thread: threadCpuUs() - before.thread, process: processCpuUs() - before.process };
  return {
    mainThreadUsPerEvent: used.thread / events,
    processUsPerEvent: used.process / events,
    delayP99Ms: eventLoop.stop(),
    eventsPerSecond: (events / durationMs()) * 1000,
  };
}
