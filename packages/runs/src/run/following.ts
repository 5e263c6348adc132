import type { JournalRow } from '../journal/events.ts';

/** Rows of a journal for any number of readers, each at its own pace: none is held for them. */
export class Following {
  readonly #rows: (afterSequence: number) => Iterable<JournalRow>;
  readonly #waiting = new Set<() => void>();
  #isOver = false;

  /** @param rows Those after a number, as they are now */
  constructor(rows: (afterSequence: number) => Iterable<JournalRow>) {
    this.#rows = rows;
  }

  /** There are more. */
  wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** There will be no more. */
  end(): void {
    this.#isOver = true;
    this.wake();
  }

  async *read(afterSequence: number): AsyncGenerator<JournalRow, undefined> {
    for (let last = afterSequence; ;) {
      // Asked before the look: what comes after it wakes.
      const isOver = this.#isOver;
      const more = isOver ? undefined : new Promise<void>((resolve) => this.#waiting.add(resolve));
      for (const row of this.#rows(last)) {
        last = row.sequence;
        yield row;
      }
      if (isOver) return undefined;
      await more;
    }
  }
}
