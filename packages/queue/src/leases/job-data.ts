/** What a job of the engine says: the task itself stands in the ledger. */
export interface JobData {
  readonly run: string;
  readonly key: string;
  /** 1, and one more for each time that the task was submitted again. */
  readonly submission: number;
  /** The provider that the task asks, as far as it is known: tasks of one that is held stay in the queue. */
  readonly provider?: string;
}

/** A task that is to be put into a queue. */
export interface QueuedJob extends JobData {
  readonly hash: string;
  /** Larger is earlier. */
  readonly priority: number;
}
