import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';

/** The threads that this process starts from now on, as Node itself reports them. */
export interface ThreadWatch extends Disposable {
  /** Ends the newest thread that runs, as a crash would; false when there is none. */
  crash(): boolean;
}

export function watchThreads(): ThreadWatch {
  const running = new Set<Worker>();
  const onThread = (message: unknown) => {
    const { worker } = message as { worker: Worker };
    running.add(worker);
    worker.once('exit', () => running.delete(worker));
  };
  subscribe('worker_threads', onThread);
  return {
    crash() {
      const newest = [...running].at(-1);
      void newest?.terminate();
      return newest !== undefined;
    },
    [Symbol.dispose]: () => unsubscribe('worker_threads', onThread),
  };
}
