import type { FromStreamTask } from '../worker/messages.ts';
import type { MonitorStats } from './types.ts';

type Batch = Extract<FromStreamTask, { type: 'batch' }>;

/** The numbers behind {@link MonitorStats}; they go on when a worker is replaced. */
export class Counters {
  #events = 0;
  #coalesced = 0;
  #bytes = 0;
  #batches = 0;
  #malformed = 0;
  #lagMs = 0;
  #lastRecordAtMs: number | null = null;
  dropped = 0;
  reconnects = 0;
  workerRestarts = 0;
  /** Events that came to the main thread and could not be opened there. */
  unopened = 0;

  addBatch({ counters, sentAtMs, lastRecordAtMs, text }: Batch): void {
    this.#events += counters.events;
    this.#coalesced += counters.coalesced;
    this.#bytes += counters.bytes;
    this.#malformed += counters.malformed;
    if (text.heads !== '') this.#batches++;
    this.#lagMs = Math.max(0, Date.now() - sentAtMs);
    if (lastRecordAtMs !== null) this.#lastRecordAtMs = lastRecordAtMs;
  }

  snapshot(): MonitorStats {
    return {
      events: this.#events,
      coalesced: this.#coalesced,
      bytes: this.#bytes,
      batches: this.#batches,
      dropped: this.dropped,
      malformed: this.#malformed + this.unopened,
      reconnects: this.reconnects,
      workerRestarts: this.workerRestarts,
      lagMs: this.#lagMs,
      lastRecordAtMs: this.#lastRecordAtMs,
    };
  }
}
