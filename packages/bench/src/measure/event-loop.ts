import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Looks at the event loop every so many milliseconds. */
const resolutionMs = 1;

/** Measures by how much this thread's timers come late; the result of `stop` is the 99th percentile in milliseconds. */
export function watchEventLoop(): { stop(): number } {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return {
    stop() {
      histogram.disable();
      // A timer that fires on time counts as one resolution.
      return Math.max(0, histogram.percentile(99) / 1e6 - resolutionMs);
    },
  };
}
