import { hashOf } from './randomness.ts';

/** All that happened in a world, one line each; equal seeds give equal lines. */
export class History {
  readonly #lines: string[] = [];
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  add(atMs: number, who: string, what: string): void {
    this.#lines.push(`${((atMs - this.#startMs) / 1000).toFixed(3).padStart(10)}  ${who.padEnd(8)}  ${what}`);
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  digest(): string {
    return this.#lines
      .reduce((hash, line) => hashOf(line, hash), 0x811c9dc5)
      .toString(16)
      .padStart(8, '0');
  }
}
