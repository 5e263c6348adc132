/** Runs jobs one at a time, first in, first out. */
export interface TurnQueue {
  readonly waiting: number;
  /** Waits for its turn, then runs the job. A signal that aborts while it waits takes it out of the queue at once. */
  run<Result>(job: () => Promise<Result>, signal?: AbortSignal): Promise<Result>;
}

export function createTurnQueue(): TurnQueue {
  const waiting = new Set<() => void>();
  let busy = false;

  function startNext(): void {
    const [next] = waiting;
    busy = next !== undefined;
    next?.();
  }

  /** Resolves when the caller may run. Whoever leaves the queue rejects with the reason of its signal. */
  function place(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting.delete(enter);
        reject(signal!.reason as Error);
      };
      const enter = () => {
        waiting.delete(enter);
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      waiting.add(enter);
      signal?.addEventListener('abort', leave, { once: true });
      if (!busy) startNext();
    });
  }

  return {
    get waiting() {
      return waiting.size;
    },
    async run(job, signal) {
      signal?.throwIfAborted();
      await place(signal);
      try {
        return await job();
      } finally {
        startNext();
      }
    },
  };
}
