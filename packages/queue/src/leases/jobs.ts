import { createHash } from 'node:crypto';
import type { JobsOptions } from 'bullmq';
import type { JobData, QueuedJob } from './job-data.ts';

/** A job as the engine takes it. */
interface NamedJob {
  readonly name: string;
  readonly data: JobData;
  readonly opts: JobsOptions;
}

/** Larger numbers wait for smaller ones in BullMQ, and this is the largest. */
const lastPriority = 2_097_152;

/**
 * The job of a task. Its name is made of the run, the task and the submission: one that is added twice is there once. BullMQ takes neither `:` nor a
 * whole number as a name, and keeps quiet about a name that it has finished: so a further submission has names of its own.
 */
export function jobOf({ hash, priority, ...data }: QueuedJob): NamedJob {
  const digest = createHash('sha256')
    .update(JSON.stringify([data.key, hash]))
    .digest('hex')
    .slice(0, 32);
  return {
    name: 'task',
    data,
    opts: {
      jobId: `${data.run}-${digest}-${data.submission}`,
      attempts: 1,
      removeOnComplete: true,
      removeOnFail: true,
      ...(priority !== 0 && { priority: Math.min(lastPriority, Math.max(1, Math.round(lastPriority / 2 - priority))) }),
    },
  };
}

/** The engine's queue of all runs with one configuration of opencode: a host takes what it can carry out, and nothing else. */
export function queueNameOf(configuration: string): string {
  return `ocm-${createHash('sha256').update(configuration).digest('hex').slice(0, 16)}`;
}
