/** Values that come one after the other, for any number of readers, each from the first one on. */
export class Announced<Value> {
  readonly #values: Value[];
  readonly #waiting = new Set<() => void>();
  #isOver = false;

  constructor(values: Iterable<Value> = []) {
    this.#values = [...values];
  }

  add(value: Value): void {
    this.#values.push(value);
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** @param wanted Which of them */
  async *read(wanted: (value: Value) => boolean = () => true): AsyncGenerator<Value, undefined> {
    for (let at = 0; ; at += 1) {
      while (at >= this.#values.length) {
        if (this.#isOver) return undefined;
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
      const value = this.#values[at]!;
      if (wanted(value)) yield value;
    }
  }
}
