import { OpencodeManagerError } from '@opencode-manager/core';

/** The waits for a live stream; all of them settle when it is live, failed or closed. */
export class Readiness {
  readonly #waits = new Set<{ resolve: () => void; reject: (error: Error) => void }>();

  resolveAll(): void {
    for (const wait of this.#take()) wait.resolve();
  }

  rejectAll(error: Error): void {
    for (const wait of this.#take()) wait.reject(error);
  }

  /** Waits for the next of the two; `reasonSoFar` is asked when the deadline passes. */
  wait(timeoutMs: number, signal: AbortSignal | undefined, reasonSoFar: () => string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const wait = { resolve, reject };
    const onAbort = () =>
      reject(
        new OpencodeManagerError('REQUEST_ABORTED', 'The wait for the event stream was aborted by the caller.', { cause: signal?.reason }),
      );
    const onDeadline = () =>
      reject(
        new OpencodeManagerError(
          'STREAM_UNAVAILABLE',
          `The event stream was not live within ${timeoutMs} ms: ${reasonSoFar()}. Check that the server runs.`,
          {
            details: { timeoutMs },
          },
        ),
      );
    const timer = Number.isFinite(timeoutMs) ? setTimeout(onDeadline, timeoutMs) : undefined;
    this.#waits.add(wait);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      this.#waits.delete(wait);
    });
  }

  #take() {
    const waits = [...this.#waits];
    this.#waits.clear();
    return waits;
  }
}
