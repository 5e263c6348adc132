/**
 * What a pool has opened and closes, the last first. `AsyncDisposableStack` would do, but Node 22 has none.
 */
export class Owned {
  #closers: (() => Promise<unknown>)[] = [];

  defer(close: () => Promise<unknown>): void {
    this.#closers.push(close);
  }

  /** Closes everything, once; a failure does not keep the rest open. @throws the first failure */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.splice(0).toReversed()) await close().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}
