import { setTimeout as sleep } from 'node:timers/promises';

/** Where the queue does not answer, it is asked again after this time, in milliseconds. */
const againMs = 500;

/**
 * Asks the queue until it answers: an engine that was killed, or a network that was cut, comes back. Gives up with what went wrong once the signal
 * is aborted. For what may be asked twice.
 */
export async function untilAnswered<T>(ask: () => Promise<T>, giveUp: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (giveUp.aborted) throw error;
      await sleep(againMs, undefined, { signal: giveUp }).catch(() => undefined);
    }
  }
}
