import type { JobData } from './job-data.ts';

/** How a host takes tasks. */
export interface LeaseOptions {
  /** How long a lease holds without a renewal, in milliseconds. */
  readonly leaseMs: number;
  /** The earliest time (milliseconds since the epoch) at which a job may start here; undefined for now. */
  readonly notBefore: (job: JobData) => number | undefined;
  /** Once it is aborted, what cannot be written is not tried again. */
  readonly giveUp: AbortSignal;
  /** Hears that the queue does not answer, in a sentence, and that it does again. */
  readonly onTrouble: (problem: string | undefined) => void;
}
