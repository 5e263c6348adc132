import { defaultSessionLimits, type SessionLimits } from '../machines/index.ts';

/** Of the limit for a stall, the part within which the actor is told of one sign of life. */
const share = 1 / 60;

/** Least time between two signs of life that an actor is told of, in milliseconds: each of them starts its timers anew. */
export function progressEveryMs({ stallTimeoutMs = defaultSessionLimits.stallTimeoutMs }: Partial<SessionLimits>): number {
  return stallTimeoutMs * share;
}
