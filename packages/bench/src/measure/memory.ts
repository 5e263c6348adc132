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
