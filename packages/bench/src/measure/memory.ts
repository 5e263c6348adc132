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

const bytesOfLine = 64;

/** Nanoseconds of one read of a place by chance within so many bytes, where each read has to wait for the one before. */
export function readByChanceNs(bytes: number, reads = 5_000_000): number {
  const step = bytesOfLine / Int32Array.BYTES_PER_ELEMENT;
  const order = shuffled(Math.floor(bytes / bytesOfLine));
  const memory = new Int32Array(order.length * step);
  for (const [index, line] of order.entries()) memory[line * step] = order[(index + 1) % order.length]! * step;
  const walk = (count: number) => {
    let place = 0;
    for (let read = 0; read < count; read += 1) place = memory[place]!;
    return place;
  };
  walk(reads / 10);
  const startedAtMs = performance.now();
  const end = walk(reads);
  const tookMs = performance.now() - startedAtMs;
  // The end is looked at, or the engine might leave the walk out.
  return end < 0 ? Number.NaN : (tookMs / reads) * 1e6;
}

/** The numbers from 0 in an order by chance (Fisher and Yates). */
function shuffled(count: number): Uint32Array {
  const numbers = Uint32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    const number = numbers[last]!;
    numbers[last] = numbers[other]!;
    numbers[other] = number;
  }
  return numbers;
}
