import { isManagerError, OpencodeManagerError, type SerializedError } from '@opencode-manager/core/errors';
import type { Clock, ServerPort, StreamPort } from '../ports/index.ts';

/** When a server that runs and does not answer counts as lost. A busy server has needed more than 2 s for an answer. */
export interface HealthCheck {
  /** Wait between two probes, in milliseconds. Nothing is asked while the event stream brings bytes. */
  readonly intervalMs: number;
  /** Deadline of a probe, in milliseconds. */
  readonly timeoutMs: number;
  /** Probes in a row without an answer, and without a byte on the event stream since the first of them. */
  readonly strikes: number;
}

export const defaultHealthCheck: HealthCheck = { intervalMs: 5000, timeoutMs: 5000, strikes: 3 };

export interface HealthWatchOptions {
  readonly server: Pick<ServerPort, 'health' | 'output'>;
  readonly stream: Pick<StreamPort, 'lastRecordAtMs'>;
  readonly clock: Clock;
  readonly check: HealthCheck;
  readonly onWedged: (error: SerializedError) => void;
}

/**
 * Notices a server that accepts requests and never answers. Any answer and any byte on the event stream is a sign of life:
 * a server that is merely slow is left alone.
 */
export class HealthWatch {
  readonly #options: HealthWatchOptions;
  readonly #stopped = new AbortController();
  #timer: unknown;
  #strikes = 0;
  /** Start of the first probe of those that got no answer. */
  #silentSinceMs = 0;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
    this.#schedule();
  }

  stop(): void {
    this.#stopped.abort();
    this.#options.clock.clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#stopped.signal.aborted) return;
    const { clock, check } = this.#options;
    this.#timer = clock.setTimeout(() => void this.#look(), check.intervalMs, { background: true });
  }

  async #look(): Promise<void> {
    const startedAtMs = this.#options.clock.now();
    if (this.#heardSince(startedAtMs - this.#options.check.intervalMs) || (await this.#answers())) this.#strikes = 0;
    else if (!this.#stopped.signal.aborted) this.#strike(startedAtMs);
    this.#schedule();
  }

  #strike(startedAtMs: number): void {
    if (this.#strikes === 0 || this.#heardSince(this.#silentSinceMs)) {
      this.#strikes = 0;
      this.#silentSinceMs = startedAtMs;
    }
    this.#strikes += 1;
    const { check, clock, onWedged } = this.#options;
    if (this.#strikes < check.strikes || this.#heardSince(this.#silentSinceMs)) return;
    this.stop();
    onWedged(this.#error(Math.round(clock.now() - this.#silentSinceMs)));
  }

  #heardSince(atMs: number): boolean {
    const { lastRecordAtMs } = this.#options.stream;
    return lastRecordAtMs !== null && lastRecordAtMs >= atMs;
  }

  /** An error of the server is an answer too. */
  async #answers(): Promise<boolean> {
    const { server, check } = this.#options;
    try {
      await server.health({ timeoutMs: check.timeoutMs, signal: this.#stopped.signal });
      return true;
    } catch (error) {
      return !['REQUEST_TIMEOUT', 'CONNECTION_LOST', 'REQUEST_ABORTED', 'SERVER_EXITED'].some((code) =>
        isManagerError(error, code as never),
      );
    }
  }

  #error(silentMs: number): SerializedError {
    const { server, check } = this.#options;
    const message = `The opencode server runs and did not answer ${check.strikes} probes; it has been silent for ${silentMs} ms.`;
    return new OpencodeManagerError('SERVER_UNRESPONSIVE', message, { output: server.output(), details: { silentMs } }).toJSON();
  }
}
