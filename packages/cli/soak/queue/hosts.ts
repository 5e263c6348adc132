import { setTimeout as sleep } from 'node:timers/promises';
import type { Ocm } from '../ocm.ts';
import type { QueueSoakOptions } from './options.ts';
import type { QueuePlace } from './place.ts';

/** A worker in a process of its own, as one on a host of its own. */
export interface Host {
  readonly worker: Ocm;
  isStopped: boolean;
}

/** The exit code of a worker whose queue cannot be reached at its start. */
const queueAway = 2;

/** The hosts that drain the queue. One that is killed comes back. */
export class Hosts implements AsyncDisposable {
  readonly #place: QueuePlace;
  readonly #options: QueueSoakOptions;
  readonly all: Host[] = [];
  /** Workers that ended by themselves. */
  readonly problems: string[] = [];

  constructor(place: QueuePlace, options: QueueSoakOptions) {
    this.#place = place;
    this.#options = options;
  }

  /** As whoever keeps a service running does: one that cannot start while the queue is away is started again. */
  async start(): Promise<Host> {
    for (;;) {
      const host = await this.#startOnce();
      if (host.worker.record('launch') || (await host.worker.exit) !== queueAway) return host;
      await sleep(500);
    }
  }

  async #startOnce(): Promise<Host> {
    const { url, configFile } = this.#place;
    const { concurrency, leaseMs } = this.#options;
    const worker = this.#place.ocm(
      'worker',
      '--queue',
      url,
      '--opencode-config',
      configFile,
      '-c',
      String(concurrency),
      '--lease',
      `${leaseMs / 1000}s`,
      '--json',
    );
    const host: Host = { worker, isStopped: false };
    this.all.push(host);
    await worker.waitForRecord('launch');
    void this.#note(worker);
    return host;
  }

  async #note(worker: Ocm): Promise<void> {
    const code = await worker.exit;
    if (code !== 0 && code !== 'SIGKILL' && code !== queueAway)
      this.problems.push(`a worker ended with ${code}: ${worker.stderr.slice(-800)}`);
  }

  /** Those that work. */
  get live(): readonly Host[] {
    return this.all.filter(({ worker, isStopped }) => !worker.isOver && !isStopped);
  }

  async kill(host: Host): Promise<void> {
    host.worker.signal('SIGKILL');
    await host.worker.exit;
  }

  /** Whatever happened, no process stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    const left = this.all.filter(({ worker }) => !worker.isOver);
    for (const { worker } of left) worker.signal('SIGKILL');
    await Promise.all(left.map(({ worker }) => worker.exit));
  }

  /** Ends all in order; gives what ended otherwise than it should. */
  async drain(): Promise<string[]> {
    const left = this.all.filter(({ worker }) => !worker.isOver);
    for (const { worker } of left) worker.signal('SIGTERM');
    const codes = await Promise.all(left.map(({ worker }) => worker.exit));
    return codes.every((code) => code === 0)
      ? this.problems
      : [...this.problems, `workers were drained, and ended with ${codes.join(', ')}`];
  }
}
