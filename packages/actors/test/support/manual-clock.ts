interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Time that passes when a test says so. Each timer fires at its own instant, also one that another timer has started. */
export class ManualClock {
  readonly #timers = new Map<number, Timer>();
  #nowMs = 1000;
  #started = 0;

  now(): number {
    return this.#nowMs;
  }

  setTimeout(callback: () => void, delayMs: number): number {
    this.#started += 1;
    this.#timers.set(this.#started, { dueMs: this.#nowMs + delayMs, callback });
    return this.#started;
  }

  clearTimeout(id: number): void {
    this.#timers.delete(id);
  }

  pass(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (let next = this.#firstUntil(endMs); next !== undefined; next = this.#firstUntil(endMs)) {
      const { dueMs, callback } = this.#timers.get(next)!;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      callback();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  #firstUntil(endMs: number): number | undefined {
    let first: number | undefined;
    for (const [id, { dueMs }] of this.#timers)
      if (dueMs <= endMs && (first === undefined || dueMs < this.#timers.get(first)!.dueMs)) first = id;
    return first;
  }
}
