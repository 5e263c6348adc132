/** Runs jobs one at a time, first in, first out. */
export interface TurnQueue {
  readonly waiting: number;
  /** Waits for its turn, then runs the job. A signal that aborts while it waits takes it out of the queue. */
  run<Result>(job: () => Promise<Result>, signal?: AbortSignal): Promise<Result>;
}

export function createTurnQueue(): TurnQueue {
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    get waiting() {
      return waiting;
    },
    run(job, signal) {
      waiting += 1;
      const mine = tail.then(() => {
        waiting -= 1;
        signal?.throwIfAborted();
        return job();
      });
      tail = mine.catch(() => undefined);
      return mine;
    },
  };
}
