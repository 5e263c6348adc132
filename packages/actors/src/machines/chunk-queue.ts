/** Items a chunk holds: an operation copies one chunk and the list of chunks, about 200 references at 10,000 items. */
const chunkSize = 128;

/** A first-in, first-out queue that never changes in place. Plain JSON; no chunk is empty. */
export type ChunkQueue<Item> = readonly (readonly Item[])[];

export const emptyQueue: ChunkQueue<never> = [];

/** Adds to the end. */
export function push<Item>(queue: ChunkQueue<Item>, item: Item): ChunkQueue<Item> {
  const last = queue.at(-1);
  if (!last || last.length >= chunkSize) return [...queue, [item]];
  return queue.with(queue.length - 1, [...last, item]);
}

/** Takes from the front. */
export function shift<Item>(queue: ChunkQueue<Item>): { readonly item: Item; readonly rest: ChunkQueue<Item> } | undefined {
  const [first] = queue;
  if (!first) return undefined;
  const item = first[0] as Item;
  return { item, rest: first.length === 1 ? queue.slice(1) : queue.with(0, first.slice(1)) };
}

/** Puts an item before all others. */
export function unshift<Item>(queue: ChunkQueue<Item>, item: Item): ChunkQueue<Item> {
  const [first] = queue;
  return !first || first.length >= chunkSize ? [[item], ...queue] : queue.with(0, [item, ...first]);
}

/** Takes an item out, wherever it stands; gives the same queue back when it is not there. Scans, and copies one chunk. */
export function remove<Item>(queue: ChunkQueue<Item>, matches: (item: Item) => boolean): ChunkQueue<Item> {
  for (const [index, chunk] of queue.entries()) {
    const at = chunk.findIndex(matches);
    if (at === -1) continue;
    return chunk.length === 1 ? queue.toSpliced(index, 1) : queue.with(index, chunk.toSpliced(at, 1));
  }
  return queue;
}

/** All items, first one first. */
export function items<Item>(queue: ChunkQueue<Item>): Item[] {
  return queue.flat();
}
