/** A small seeded generator (xorshift32), so that a failing case can be run again from its seed. */
export function seededRandom(seed: number): { next(): number; below(limit: number): number; pick<Item>(items: readonly Item[]): Item } {
  let state = seed | 0 || 0x9e3779b9;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return { next, below, pick: (items) => items[below(items.length)]! };
}
