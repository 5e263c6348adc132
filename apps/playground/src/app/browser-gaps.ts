import { config } from 'zod';

// What runs in the simulation was written for Node. This comes before it.

// A schema that is compiled needs `eval`, which the page's content security policy forbids.
config({ jitless: true });

/** What the hosts use of `AsyncDisposableStack`, for browsers that have none. */
class DisposableStack {
  #disposals: (() => unknown)[] = [];

  defer(dispose: () => unknown): void {
    this.#disposals.push(dispose);
  }

  move(): DisposableStack {
    const moved = new DisposableStack();
    moved.#disposals = this.#disposals;
    this.#disposals = [];
    return moved;
  }

  async disposeAsync(): Promise<void> {
    for (const dispose of this.#disposals.splice(0).toReversed()) await dispose();
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')](): Promise<void> {
    return this.disposeAsync();
  }
}

for (const name of ['dispose', 'asyncDispose'] as const)
  if (!(name in Symbol)) Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
if (!('AsyncDisposableStack' in globalThis)) Object.assign(globalThis, { AsyncDisposableStack: DisposableStack });
