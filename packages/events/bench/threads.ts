// Whether the streams of several servers should share a thread: four servers, each with 1,000 events a second of 25 sessions,
// on one thread and on four.
//
//   pnpm bench threads
import { MessageChannel } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { quantile, runCase, startSyntheticServer, peakMemoryMb, processCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import { resolveWorkerFile } from '../src/host/worker-file.ts';
import { decodeBatch } from '../src/worker/batch-text.ts';
import type { FromStreamTask, StreamTaskRequest } from '../src/worker/messages.ts';

await runCase({ 'one thread': (settings) => measure(1, settings), 'a thread each': (settings) => measure(4, settings) });

type Threads = Piscina<StreamTaskRequest, void>;

async function measure(threadCount: number, { servers = 4, events = 5000, eventsPerSecond = 1000 }: Settings): Promise<Metrics> {
  await using stack = new AsyncDisposableStack();
  const { filename, execArgv } = resolveWorkerFile(import.meta.url, '../src/worker/stream.worker');
  const threads: Threads = new Piscina({
    filename,
    execArgv,
    env: {},
    atomics: 'disabled',
    minThreads: 0,
    maxThreads: threadCount,
    concurrentTasksPerWorker: servers / threadCount,
  });
  stack.defer(() => threads.destroy());
  const delaysMs: number[] = [];
  const streams = await Promise.all(Array.from({ length: servers }, () => openStream(stack, threads, delaysMs)));
  const run = async (count: number) => {
    delaysMs.length = 0;
    await Promise.all(streams.map((stream) => stream.flood({ sessions: 25, events: count, eventsPerSecond })));
  };
  await run(1000);
  const before = processCpuUs();
  await run(events);
  const used = processCpuUs() - before;
  const metrics = {
    processUsPerEvent: used / events / servers,
    p50Ms: quantile(delaysMs, 0.5),
    p99Ms: quantile(delaysMs, 0.99),
    peakMemoryMb: peakMemoryMb(),
  };
  for (const stream of streams) stream.close();
  return metrics;
}

async function openStream(stack: AsyncDisposableStack, threads: Threads, delaysMs: number[]) {
  const server = stack.use(await startSyntheticServer());
  const { port1, port2 } = new MessageChannel();
  const live = Promise.withResolvers<void>();
  let ended = Promise.withResolvers<void>();
  port1.on('message', (message: FromStreamTask) => {
    if (message.type === 'live') live.resolve();
    if (message.type !== 'batch') return;
    port1.postMessage({ type: 'acknowledge', batches: 1 });
    for (const event of message.text.heads === '' ? [] : decodeBatch(message.text)) {
      if (event.type === 'part.delta') noteDelays(event.data.delta, delaysMs);
      else if (event.sessionId === 'ses_endofflood') ended.resolve();
    }
  });
  const times = { watchdogMs: 25_000, reconnectMinMs: 100, reconnectMaxMs: 5000 };
  const input = {
    ...server.credentials(),
    ...times,
    directory: undefined,
    coalesce: true,
    frameMs: 16,
    generation: 1,
    resume: null,
  };
  const running = threads.run({ input, port: port2 }, { transferList: [port2] });
  await live.promise;
  return {
    async flood(order: { readonly sessions: number; readonly events: number; readonly eventsPerSecond: number }) {
      ended = Promise.withResolvers();
      await server.flood(order);
      await ended.promise;
    },
    close() {
      port1.postMessage({ type: 'close' });
      void running.then(() => port1.close());
    },
  };
}

function noteDelays(delta: string, delaysMs: number[]): void {
  const nowUs = Number(process.hrtime.bigint() / 1000n);
  for (const stamp of delta.split('@')) if (stamp !== '') delaysMs.push((nowUs - Number(stamp)) / 1000);
}
