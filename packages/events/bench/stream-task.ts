// The stream task by itself: what the worker pays for an event of a flood, on one thread and without a main thread that
// takes the batches. For profiles (`node --cpu-prof`), and beside the others to see where the time of an event goes.
import { runCase, startSyntheticServer, threadCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import type { FromStreamTask, StreamTaskInput } from '../src/worker/messages.ts';
import { StreamTask } from '../src/worker/stream-task.ts';

await runCase({ coalesced: (settings) => work(true, settings), 'every delta': (settings) => work(false, settings) });

async function work(coalesce: boolean, { sessions = 100, events = 300_000 }: Settings): Promise<Metrics> {
  await using server = await startSyntheticServer();
  const live = Promise.withResolvers<void>();
  let ended = Promise.withResolvers<void>();
  const task: StreamTask = new StreamTask(inputOf(server.credentials(), coalesce), (message: FromStreamTask) => {
    if (message.type === 'live') live.resolve();
    if (message.type !== 'batch') return;
    task.acknowledge(1);
    if (message.text.heads.includes('ses_endofflood')) ended.resolve();
  });
  void task.run();
  await live.promise;
  const one = async (count: number) => {
    ended = Promise.withResolvers();
    await server.flood({ sessions, events: count, eventsPerSecond: 0 });
    await ended.promise;
  };
  await one(Math.min(100_000, events));
  const before = threadCpuUs();
  await one(events);
  const used = threadCpuUs() - before;
  task.close();
  return { workerUsPerEvent: used / events };
}

function inputOf(credentials: { readonly url: string; readonly authorization: string }, coalesce: boolean): StreamTaskInput {
  return {
    ...credentials,
    directory: undefined,
    coalesce,
    frameMs: 16,
    watchdogMs: 25_000,
    reconnectMinMs: 100,
    reconnectMaxMs: 5000,
    generation: 1,
    resume: null,
  };
}
