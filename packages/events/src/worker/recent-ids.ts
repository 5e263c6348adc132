/** Remembers the newest ids in bounded memory: two sets, the older of which is forgotten when the newer is full. */
export class RecentIds {
  readonly #capacity: number;
  #newer = new Set<string>();
  #older = new Set<string>();

  /** At least `capacity` and at most twice as many ids are remembered. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(id: string): boolean {
    return this.#newer.has(id) || this.#older.has(id);
  }

  add(id: string): void {
    this.#newer.add(id);
    if (this.#newer.size < this.#capacity) return;
    this.#older = this.#newer;
    this.#newer = new Set();
  }

  get size(): number {
    return this.#newer.size + this.#older.size;
  }
}
