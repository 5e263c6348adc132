import type { EventMonitor } from '@opencode-manager/events';
import type { PoolEvent, SessionPool, TaskResult } from '../src/index.ts';

/** What a pool says of itself while it works. */
export class PoolRecord {
  readonly finished: TaskResult[] = [];
  /** Numbers of pool events that are missing or came twice. */
  readonly brokenSequences: number[] = [];
  events = 0;
  #lastSequence = 0;
  #lastFinishAtMs = Date.now();
  readonly #monitors: Set<EventMonitor>;
  readonly #pool: SessionPool;

  constructor(pool: SessionPool) {
    this.#pool = pool;
    this.#monitors = new Set([pool.monitor]);
    pool.on('*', (event) => this.#onEvent(event));
  }

  /** Milliseconds since a task came to its end. */
  get quietMs(): number {
    return Date.now() - this.#lastFinishAtMs;
  }

  /** Events of the server that came through, over all its incarnations. */
  get serverEvents(): number {
    return [...this.#monitors].reduce((sum, { stats }) => sum + stats.events, 0);
  }

  #onEvent(event: PoolEvent): void {
    this.events += 1;
    if (event.sequence !== this.#lastSequence + 1 && this.#lastSequence !== 0) this.brokenSequences.push(event.sequence);
    this.#lastSequence = event.sequence;
    if (event.type === 'server.restarted') this.#monitors.add(this.#pool.monitor);
    if (event.type !== 'task.finished') return;
    this.#lastFinishAtMs = event.atMs;
    this.finished.push(event.result);
  }
}
