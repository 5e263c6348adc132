import { defaultSessionLimits, type SessionLimits } from '../machines/index.ts';

/** Part of the limit for a stall. Each sign of life that an actor is told of costs it a transition and new timers. */
const share = 1 / 20;

/**
 * Least time between two signs of life that an actor is told of, and how long a delta, which is one too, may be held to be joined with
 * those that follow (milliseconds). A stall may be suspected twice so much earlier than its limit: the last sign before a silence may
 * have been too soon after one that was told, and the first behind it may still be held.
 */
export function progressEveryMs({ stallTimeoutMs = defaultSessionLimits.stallTimeoutMs }: Partial<SessionLimits>): number {
  return stallTimeoutMs * share;
}
