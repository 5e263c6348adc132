/** One bound for several waits that follow each other. */
export interface Deadline {
  /** Milliseconds that are left, `limitMs` at most; 0 when it has passed. */
  remainingMs(limitMs?: number): number;
  /** Waits until the work has settled, until the bound or until `limitMs`; whether it has. Never rejects. */
  settles(work: Promise<unknown>, limitMs?: number): Promise<boolean>;
}

export function startDeadline(boundMs: number): Deadline {
  const endsAtMs = performance.now() + boundMs;
  const remainingMs = (limitMs = Infinity) => Math.max(0, Math.min(limitMs, endsAtMs - performance.now()));
  return {
    remainingMs,
    async settles(work, limitMs) {
      const late = Promise.withResolvers<false>();
      const timer = setTimeout(() => late.resolve(false), remainingMs(limitMs));
      const settled = work.then(
        () => true,
        () => true,
      );
      try {
        return await Promise.race([settled, late.promise]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
