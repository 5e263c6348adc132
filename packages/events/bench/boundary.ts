// What crosses the thread boundary best: objects, one JSON text of them, or two texts: what is known of the events, with what
// deltas share named once, and the properties of the others as they came.
//
//   pnpm bench boundary
//
// A thread sends the same batch of a flood again and again, each time from what came; the main thread makes events of each.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { once } from 'node:events';
import { runCase, startSyntheticServer, threadCpuUs, type Metrics, type Settings } from '@opencode-manager/bench';
import { isSealed, openData, type ArrivedEvent } from '@opencode-manager/core/protocol';
import { decodeBatch, encodeBatch, type BatchText } from '../src/worker/batch-text.ts';
import { StreamTask } from '../src/worker/stream-task.ts';

/** How a batch is sent and read back. */
const forms = {
  objects: { write: (events: ArrivedEvent[]): unknown => events.map(open), read: (message: unknown) => message as object[] },
  'JSON text': {
    write: (events: ArrivedEvent[]): unknown => JSON.stringify(events.map(open)),
    read: (message: unknown) => JSON.parse(message as string) as object[],
  },
  'heads and bodies': {
    write: encodeBatch,
    read: (message: unknown) => decodeBatch(message as BatchText).map(open),
  },
};

/** What the router does for the first who wants an event. */
const open = (event: ArrivedEvent): object => (isSealed(event) ? { ...event, data: openData(event) } : event);

type Form = keyof typeof forms;

if (isMainThread)
  await runCase(Object.fromEntries((Object.keys(forms) as Form[]).map((form) => [form, (settings: Settings) => measure(form, settings)])));
else send(workerData as { form: Form; batch: ArrivedEvent[]; batches: number });

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
async function recordBatch(events: number): Promise<ArrivedEvent[]> {
  await using server = await startSyntheticServer();
  const live = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  const came: ArrivedEvent[] = [];
  const times = { frameMs: 16, watchdogMs: 25_000, reconnectMinMs: 100, reconnectMaxMs: 5000 };
  const input = { ...server.credentials(), ...times, directory: undefined, coalesce: false, generation: 1, resume: null };
  const task: StreamTask = new StreamTask(input, (message) => {
    if (message.type === 'live') live.resolve();
    if (message.type !== 'batch') return;
    task.acknowledge(1);
    if (message.text.heads !== '') came.push(...decodeBatch(message.text));
    if (came.length >= 5000 + events) full.resolve();
  });
  void task.run();
  await live.promise;
  await server.flood({ sessions: 100, events: 5000 + 2 * events, eventsPerSecond: 0 });
  await full.promise;
  task.close();
  return came.slice(5000, 5000 + events);
}

/** One batch on the way at a time. */
function send({ form, batch, batches }: { form: Form; batch: ArrivedEvent[]; batches: number }): void {
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
