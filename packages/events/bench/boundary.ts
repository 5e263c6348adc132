// What crosses the thread boundary best: objects, one JSON text of them, or a text that names what deltas share once.
//
//   pnpm bench boundary
//
// A thread decodes a flood's records once and sends the same batch again and again; the main thread makes events of each.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { once } from 'node:events';
import { runCase, startSyntheticServer, threadCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import { decodeBatch, encodeBatch } from '../src/worker/batch-text.ts';
import type { BatchedEvent } from '../src/worker/coalesce.ts';
import { EventMonitor } from '../src/index.ts';

/** How a batch is sent and read back. */
const forms = {
  objects: { write: (events: BatchedEvent[]): unknown => events, read: (message: unknown) => message as BatchedEvent[] },
  'JSON text': {
    write: (events: BatchedEvent[]): unknown => JSON.stringify(events),
    read: (message: unknown) => JSON.parse(message as string) as BatchedEvent[],
  },
  'text with sources': { write: encodeBatch, read: (message: unknown) => decodeBatch(message as string) },
};
type Form = keyof typeof forms;

if (isMainThread)
  await runCase(Object.fromEntries((Object.keys(forms) as Form[]).map((form) => [form, (settings: Settings) => measure(form, settings)])));
else send(workerData as { form: Form; batch: BatchedEvent[]; batches: number });

async function measure(form: Form, { events = 1000, batches = 500 }: Settings): Promise<Metrics> {
  const batch = await recordBatch(events);
  const run = async (count: number) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { form, batch, batches: count },
      execArgv: ['--conditions=@opencode-manager/source'],
    });
    let workerUs = 0;
    worker.on('message', (message: unknown) => {
      if (typeof message === 'number') workerUs = message;
      else {
        const received = forms[form].read(message);
        if (received.length !== batch.length) throw new Error('a batch is not whole');
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
        worker.postMessage('acknowledge');
      }
    });
    const before = threadCpuUs();
    await once(worker, 'exit');
    return { mainUs: threadCpuUs() - before, workerUs };
  };
  await run(100);
  const { mainUs, workerUs } = await run(batches);
  return { mainThreadUsPerEvent: mainUs / batches / events, workerUsPerEvent: workerUs / batches / events };
}

/** Events of a flood once its sessions are at work, every delta by itself. */
async function recordBatch(events: number): Promise<BatchedEvent[]> {
  await using server = await startSyntheticServer();
  await using monitor = EventMonitor.open({ credentials: () => server.credentials() }, { coalesce: false });
  const batch: BatchedEvent[] = [];
  const full = Promise.withResolvers<void>();
  let came = 0;
  monitor.on({ type: ['part.*', 'message.*', 'session.*'] }, (event) => {
    came += 1;
    if (came > 5000 && batch.length < events) batch.push(event as BatchedEvent);
    else if (batch.length === events) full.resolve();
  });
  await monitor.ready();
  await server.flood({ sessions: 100, events: 10_000, eventsPerSecond: 0 });
  await full.promise;
  return batch;
}

/** One batch on the way at a time. */
function send({ form, batch, batches }: { form: Form; batch: BatchedEvent[]; batches: number }): void {
  const port = parentPort!;
  const before = threadCpuUs();
  let left = batches;
  const next = () => {
    if (left-- > 0) return port.postMessage(forms[form].write(batch));
    port.postMessage(threadCpuUs() - before);
    return port.close();
  };
  port.on('message', next);
  next();
}
