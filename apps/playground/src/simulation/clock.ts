interface Timer {
  readonly id: number;
  readonly dueMs: number;
  readonly fire: () => void;
}

/**
 * A clock that moves when it is told. XState's own simulated clock fires what is due with the time already at the end of
 * the step, so that chained timers drift; this one stops at each timer.
 */
export class SteppedClock {
  #nowMs = 0;
  #nextId = 1;
  #timers: Timer[] = [];

  now(): number {
    return this.#nowMs;
  }

  /** When the next timer fires; undefined when none waits. */
  get nextDueMs(): number | undefined {
    return this.#timers[0]?.dueMs;
  }

  setTimeout(fire: (...args: unknown[]) => void, timeoutMs: number): number {
    const timer = { id: this.#nextId, dueMs: this.#nowMs + Math.max(0, Math.round(timeoutMs)), fire: () => fire() };
    this.#nextId += 1;
    // Kept in order of time; equal times in order of creation.
    this.#timers.splice(this.#insertAt(timer.dueMs), 0, timer);
    return timer.id;
  }

  clearTimeout(id: number): void {
    const index = this.#timers.findIndex((timer) => timer.id === id);
    if (index >= 0) this.#timers.splice(index, 1);
  }

  /** Moves to a time, firing on the way what is due, at most `limit` timers. Returns false when the limit stopped it. */
  advanceTo(timeMs: number, limit = Infinity): boolean {
    for (let fired = 0; this.#timers[0] && this.#timers[0].dueMs <= timeMs; fired += 1) {
      if (fired >= limit) return false;
      const timer = this.#timers.shift()!;
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
      timer.fire();
    }
    this.#nowMs = Math.max(this.#nowMs, timeMs);
    return true;
  }

  #insertAt(dueMs: number): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#timers[middle]!.dueMs <= dueMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
