import { isManagerError } from '@opencode-manager/core/errors';
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

export interface HealthProbeOptions {
  readonly server: Pick<ServerPort, 'health'>;
  readonly stream: () => Pick<StreamPort, 'lastRecordAtMs'>;
  readonly clock: Clock;
  readonly check: HealthCheck;
  readonly onAnswered: () => void;
  readonly onUnanswered: (startedAtMs: number, lastRecordAtMs: number | null) => void;
}

/** Asks a server for an answer while its event stream brings none, and tells whether an answer came. */
export class HealthProbe {
  readonly #options: HealthProbeOptions;
  readonly #stopped = new AbortController();
  #timer: unknown;

  constructor(options: HealthProbeOptions) {
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
    this.#timer = clock.setTimeout(() => void this.#ask(), check.intervalMs, { background: true });
  }

  async #ask(): Promise<void> {
    const { clock, check, stream, onAnswered, onUnanswered } = this.#options;
    const startedAtMs = clock.now();
    const { lastRecordAtMs } = stream();
    if (lastRecordAtMs === null || lastRecordAtMs < startedAtMs - check.intervalMs) {
      const answers = await this.#answers();
      if (this.#stopped.signal.aborted) return;
      if (answers) onAnswered();
      else onUnanswered(startedAtMs, stream().lastRecordAtMs);
    }
    this.#schedule();
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
}
