import type { JournalEvent, JournalRow } from '../journal/events.ts';
import type { RunTaskSpec } from '../run/types.ts';

/** A task as it was put into a run, with the identity that it got there. */
export interface LeasedTask {
  readonly hash: string;
  readonly task: RunTaskSpec;
}

/** A task that a host has for a while: nobody else works at it as long as the lease is renewed. */
export interface Lease<Given extends LeasedTask = LeasedTask> {
  /** Name of the run. */
  readonly run: string;
  readonly key: string;
  readonly task: Given;
  /** Number of the attempt that comes next: 1 for the first of the task. */
  readonly attempt: number;
  /** Fencing token: above that of every earlier lease of the run. The token of each attempt begins with it. */
  readonly token: number;
  /** Milliseconds since the epoch. Who has not renewed it by then has it no more. */
  readonly expiresAtMs: number;
  /** What the journal of the run says of this task, in order. */
  readonly rows: readonly JournalRow[];
}

/**
 * Where a host gets tasks, and where it writes what becomes of them. One host and many are one code: what runs a task knows of this port alone.
 * Guarantees of every implementation:
 * - a task has one lease at a time, and each lease has a larger token than the one before;
 * - rows are kept under the newest token alone; those of an older one are refused with `LEASE_LOST`, and the end that was to be written is
 *   recorded as `attempt.superseded`;
 * - a row that was written survives the host;
 * - a lease that is not renewed in time ends, and the task is taken again; an attempt that was in flight then counts as a try of the infrastructure.
 */
export interface LeasePort<Given extends LeasedTask = LeasedTask> {
  /** Waits for a task; undefined once the signal is aborted. */
  take(signal: AbortSignal): Promise<Lease<Given> | undefined>;
  /** Keeps a lease; gives the time at which it ends now. @throws `LEASE_LOST` */
  renew(lease: Lease<Given>): Promise<number>;
  /** Writes rows of the task. @throws `LEASE_LOST` */
  write(lease: Lease<Given>, events: readonly JournalEvent[]): Promise<void>;
  /** The task has its final outcome, which is written: the lease ends. */
  finish(lease: Lease<Given>): Promise<void>;
  /** The task is for another host, not before this time (milliseconds since the epoch). */
  giveBack(lease: Lease<Given>, notBeforeMs?: number): Promise<void>;
}

/** What was to be kept under a token that is not the newest one. An end is recorded, and counts for nothing. */
export function supersededBy(events: readonly JournalEvent[]): JournalEvent[] {
  return events.flatMap((event): JournalEvent[] => {
    if (event.type !== 'attempt.ended') return [];
    const { key, attempt, token, outcome, result } = event;
    const { usage, cost_usd: usd, model_calls: modelCalls } = result;
    const tokens = usage.input_tokens + usage.output_tokens + usage.reasoning_tokens;
    return [{ type: 'attempt.superseded', key, attempt, token, outcome, spent: { tokens, usd, modelCalls } }];
  });
}
