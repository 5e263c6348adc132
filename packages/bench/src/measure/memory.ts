import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';

/** Bytes of live heap after a full collection. The process needs `--expose-gc`. */
export async function liveHeapBytes(): Promise<number> {
  const { gc } = globalThis;
  if (!gc) throw new Error('start node with --expose-gc');
  // What a first collection finalises, a later one frees.
  for (let pass = 0; pass < 3; pass += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
  }
  return process.memoryUsage().heapUsed;
}

/** Follows the threads that this process starts from now on; the result gives the bytes of their live heap. */
export function watchThreads(): () => Promise<number> {
  const threads = new Set<Worker>();
  process.on('worker', (thread: Worker) => {
    threads.add(thread);
    thread.once('exit', () => threads.delete(thread));
  });
  return async () => (await Promise.all([...threads].map(liveHeapOfThread))).reduce((sum, bytes) => sum + bytes, 0);
}

/** A snapshot begins with a full collection, which cannot be asked of a thread otherwise. */
async function liveHeapOfThread(thread: Worker): Promise<number> {
  const snapshot = await thread.getHeapSnapshot();
  await once(snapshot.resume(), 'end');
  return (await thread.getHeapStatistics()).used_heap_size;
}
