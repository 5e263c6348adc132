export { Collection, type CollectionOptions } from './collect.ts';
export type { Claim, FileOf, Ledger, NewQueuedRun, QueuedFile, QueuedRun, QueuedWishes, WorkerBeat, Writer } from './ledger/ledger.ts';
export type { JobData, QueuedJob } from './leases/job-data.ts';
export type { LeaseOptions } from './leases/lease-options.ts';
export { openQueue, type LeaseSource, type QueueClient } from './open-queue.ts';
export { untilAnswered } from './until-answered.ts';
export { parseQueueUrl, type Backend, type QueueAddress } from './url.ts';
