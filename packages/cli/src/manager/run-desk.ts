import { OpencodeManagerError } from '@opencode-manager/core';
import type { Run, RunControl } from '@opencode-manager/runs';

/** A run that a manager carries out, or has carried out. */
export interface DeskRun {
  readonly id: string;
  /** Its directory; undefined for one that keeps nothing. */
  readonly path: string | undefined;
  /** Rejects when it cannot be started. */
  readonly started: Promise<Run>;
  /** Refuses a limit in US dollars that would not hold. Rejects with `MODEL_UNPRICED`. */
  readonly assertUsd: (usd: number) => Promise<void>;
}

/** A run under this manager that clients can change. */
export interface LiveRun {
  readonly run: Run;
  readonly control: RunControl;
  readonly assertUsd: (usd: number) => Promise<void>;
}

/** Runs that have ended and can still be asked about; their directories say more. */
const mostEnded = 20;

/** The runs of one manager, for the clients of its socket. */
export class RunDesk {
  readonly #runs = new Map<string, DeskRun>();
  readonly #ended: string[] = [];

  /** A run that is about to start: who asks for it waits until it has. */
  add(run: DeskRun): void {
    // Told to whoever asks; nobody may.
    void run.started.then(
      ({ ended }) => ended.catch(() => undefined).then(() => this.#note(run.id)),
      () => this.#note(run.id),
    );
    this.#runs.set(run.id, run);
  }

  /** It has ended: the oldest ones give way. */
  #note(id: string): void {
    this.#ended.push(id);
    for (const old of this.#ended.splice(0, Math.max(0, this.#ended.length - mostEnded))) this.#runs.delete(old);
  }

  /** In the order in which they came. */
  all(): readonly DeskRun[] {
    return [...this.#runs.values()];
  }

  /** @throws OpencodeManagerError `RUN_UNKNOWN`, or what kept it from starting */
  async get(id: string): Promise<LiveRun> {
    const known = this.#runs.get(id);
    const run = await known?.started;
    if (known && run?.control) return { run, control: run.control, assertUsd: known.assertUsd };
    const there = this.#runs.size === 0 ? 'It has none.' : `It has: ${[...this.#runs.keys()].join(', ')}.`;
    throw new OpencodeManagerError('RUN_UNKNOWN', `The manager ${process.pid} has no run ${id}. ${there}`, { details: { run: id } });
  }
}
