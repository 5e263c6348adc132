import { defaultSessionLimits, type SessionLimits } from '../machines/index.ts';

/** Parts of the limit for a stall. Each sign of life that an actor is told of costs it a transition and new timers. */
const shares = { told: 1 / 20, held: 1 / 20 };

/** Least time between two signs of life that an actor is told of, in milliseconds: so much earlier than its limit may a stall be suspected. */
export function progressEveryMs(limits: Partial<SessionLimits>): number {
  return stallTimeoutMs(limits) * shares.told;
}

/** How long a delta may be held, to be joined with those that follow it (milliseconds): it is a sign of life too. */
export function deltaPatienceMs(limits: Partial<SessionLimits>): number {
  return stallTimeoutMs(limits) * shares.held;
}

function stallTimeoutMs({ stallTimeoutMs: ms = defaultSessionLimits.stallTimeoutMs }: Partial<SessionLimits>): number {
  return ms;
}
