import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { FromStreamTask, StreamTaskInput, ToStreamTask } from '../worker/messages.ts';
import { leaseStreamThreads, type StreamThreadsLease } from './stream-threads.ts';

/** Losses of the thread within the window that are made good; the next one is final. */
const restartBudget = { maxRestarts: 5, windowMs: 60_000 };

/** Wait before a restart; the last value repeats. Together with a thread's start it stays below a second. */
const restartDelaysMs = [50, 100, 200, 400];

/** Batches that are acknowledged together: half of what may be on the way. Each message wakes the thread. */
const batchesPerAcknowledgement = 8;

/** A task that was asked to end has this long; then its thread is ended. */
const closeDeadlineMs = 1000;

/** What stays as it is for a stream's whole life. */
export type StreamSettings = Omit<StreamTaskInput, keyof Beginning>;

/** Where a task begins. */
type Beginning = Pick<StreamTaskInput, 'generation' | 'resume'>;

/** What a supervisor tells, and what it asks before a restart. */
export interface SupervisorReceiver {
  readonly onMessage: (message: FromStreamTask) => void;
  /** The thread is gone; a new one will begin at what {@link beginning} says. */
  onLost(error: Error): void;
  /** The thread was lost too often. */
  onGivenUp(error: Error): void;
  beginning(): Beginning;
}

/** Keeps one stream task running: a lost thread is replaced, within a budget. */
export class StreamSupervisor {
  readonly #settings: StreamSettings;
  readonly #receiver: SupervisorReceiver;
  readonly #threads: StreamThreadsLease = leaseStreamThreads();
  readonly #losses: number[] = [];
  #port: MessagePort | undefined;
  #running: Promise<void> = Promise.resolve();
  #restart: NodeJS.Timeout | undefined;
  #ended = false;
  #routed = 0;

  constructor(settings: StreamSettings, receiver: SupervisorReceiver) {
    this.#settings = settings;
    this.#receiver = receiver;
  }

  start(): void {
    this.#restart = undefined;
    const { port1, port2 } = new MessageChannel();
    port1.on('message', this.#receiver.onMessage);
    this.#port = port1;
    this.#routed = 0;
    const input = { ...this.#settings, ...this.#receiver.beginning() };
    this.#running = this.#threads.run(input, port2).catch((error: Error) => this.#onLost(port1, error));
  }

  /** A batch was routed: the task may send another one. */
  acknowledge(): void {
    if (++this.#routed < batchesPerAcknowledgement) return;
    this.post({ type: 'acknowledge', batches: this.#routed });
    this.#routed = 0;
  }

  post(message: ToStreamTask): void {
    this.#port?.postMessage(message);
  }

  /** Ends the task and gives the threads back. Resolves when both are done. */
  async close(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#restart);
    this.post({ type: 'close' });
    await within(closeDeadlineMs, this.#running);
    this.#port?.close();
    this.#port = undefined;
    await this.#threads.release();
  }

  #onLost(port: MessagePort, error: Error): void {
    // What the lost thread had posted and nobody read is dropped with the port: the replay brings it again.
    port.close();
    this.#port = undefined;
    if (this.#ended) return;
    const now = performance.now();
    while (this.#losses.length > 0 && now - this.#losses[0]! > restartBudget.windowMs) this.#losses.shift();
    this.#losses.push(now);
    if (this.#losses.length > restartBudget.maxRestarts) return this.#receiver.onGivenUp(error);
    this.#receiver.onLost(error);
    const delay = restartDelaysMs[Math.min(this.#losses.length, restartDelaysMs.length) - 1]!;
    if (!this.#ended) this.#restart = setTimeout(() => this.start(), delay);
  }
}

async function within(deadlineMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}
