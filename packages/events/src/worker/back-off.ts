/** Waits between connection attempts: full jitter under a ceiling that doubles, reset by the first record of a stream. */
export class BackOff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(minMs: number, maxMs: number, random: () => number = Math.random) {
    this.#minMs = minMs;
    this.#maxMs = Math.max(minMs, maxMs);
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    // From the 30th attempt on the ceiling is the maximum anyway; without the cap the power overflows.
    const ceiling = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(30, ++this.#attempt));
    return this.#minMs + this.#random() * (ceiling - this.#minMs);
  }

  reset(): void {
    this.#attempt = 0;
  }
}
