/** Time, as hosts and machines see it. The only clock they have: a simulated world gives them another. */
export interface Clock {
  /** Milliseconds since the epoch; each call gives a later time than the one before, so that two facts never have the same. */
  now(): number;
  /** Milliseconds by the clock that timers follow: it stands still while the computer sleeps, and never jumps. */
  elapsed(): number;
  /** Calls back once. A `background` timer does not keep the process alive. */
  setTimeout(callback: () => void, delayMs: number, options?: { readonly background?: boolean }): unknown;
  clearTimeout(timer: unknown): void;
}

/** Steps between two times that would be the same, in milliseconds; fine enough for a double of today's size. */
const stepMs = 0.001;

/** A time source whose times grow with each call. */
export function growing(now: () => number): () => number {
  let last = 0;
  return () => (last = Math.max(now(), last + stepMs));
}

/** Node fires a timer that is longer at once, in milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

/** The clock of the process. A timer of more than 24 days fires after 24 days. */
export const systemClock: Clock = {
  now: growing(Date.now),
  elapsed: () => performance.now(),
  setTimeout: (callback, delayMs, { background = false } = {}) => {
    const timer = setTimeout(callback, Math.min(delayMs, longestTimerMs));
    return background ? timer.unref() : timer;
  },
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};
