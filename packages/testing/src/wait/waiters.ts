export interface WaitOptions {
  /** Deadline in milliseconds. Default: 10000. */
  readonly timeoutMs?: number;
}

/** What was waited for did not happen in time. The message says what was there instead. @public */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError';
  readonly code = 'WAIT_TIMEOUT';
}

/** Those who wait for something to hold; whoever changes a fact wakes them. */
export class Waiters {
  readonly #waiting = new Set<() => void>();

  wake(): void {
    for (const check of this.#waiting) check();
  }

  /** @param describe - What is waited for and what is there, for the error. */
  until(holds: () => boolean, { timeoutMs = 10_000 }: WaitOptions, describe: () => string): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        settle();
      };
      const check = () => holds() && finish(resolve);
      const fail = () => reject(new WaitTimeoutError(`Waited ${timeoutMs} ms in vain for ${describe()}.`));
      const timer = setTimeout(() => finish(fail), timeoutMs);
      this.#waiting.add(check);
    });
  }
}
