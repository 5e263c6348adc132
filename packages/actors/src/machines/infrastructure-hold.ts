import type { SerializedError } from '@opencode-manager/core';

/**
 * No new turn begins while what all turns stand on fails: a full disk, too few descriptors. Such a fault usually passes
 * within seconds, and every task that was begun meanwhile would fail of it.
 */
export interface InfrastructureHold {
  /** No new turn before this time, in milliseconds since the epoch; null when nothing is held back. */
  readonly heldUntilMs: number | null;
  /** Holds in a row, without a turn that went well in between. */
  readonly failures: number;
  /** How often turns were held back so far. */
  readonly holds: number;
}

export const noHold: InfrastructureHold = { heldUntilMs: null, failures: 0, holds: 0 };

const firstWaitMs = 500;
const longestWaitMs = 30_000;

/** Holds in a row after which a task fails with the fault: about three and a half minutes. */
const mostFailures = 12;

const systemFault = /\b(?:EMFILE|ENFILE|ENOSPC|EDQUOT)\b/;

/** Whether an error comes from what all turns stand on, not from this one. */
export function isInfrastructureFault(error: SerializedError | null): boolean {
  for (let one: SerializedError['cause'] | null = error; one; one = 'cause' in one ? one.cause : undefined) {
    if (('code' in one && one.code === 'STATE_DIRECTORY_FULL') || systemFault.test(one.message)) return true;
  }
  return false;
}

/** Holds new turns back, for twice as long as the last time. What fails within a hold does not lengthen it. */
export function holdBack(hold: InfrastructureHold, atMs: number): InfrastructureHold {
  if (hold.heldUntilMs !== null && atMs < hold.heldUntilMs) return hold;
  const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** hold.failures);
  return { heldUntilMs: atMs + waitMs, failures: hold.failures + 1, holds: hold.holds + 1 };
}

export function isLasting({ failures }: InfrastructureHold): boolean {
  return failures >= mostFailures;
}
