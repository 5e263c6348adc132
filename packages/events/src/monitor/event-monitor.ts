import { OpencodeManagerError } from '@opencode-manager/core';
import { protocolNamed, type ProtocolStream } from '@opencode-manager/core/protocol';
import { StreamSupervisor } from '../host/stream-supervisor.ts';
import { Router } from '../router/router.ts';
import { IteratorSubscription, ListenerSubscription } from '../router/subscriptions.ts';
import { decodeBatch } from '../worker/batch-text.ts';
import { SessionCursors } from '../worker/cursors.ts';
import type { FromStreamTask, ResumePoint } from '../worker/messages.ts';
import { Counters } from './counters.ts';
import { Readiness } from './readiness.ts';
import { settingsOf } from './settings.ts';
import type {
  EventFilter,
  EventMonitor as EventMonitorHandle,
  EventMonitorOptions,
  EventSource,
  MonitorEvent,
  MonitorNotice,
  MonitorState,
  MonitorStats,
} from './types.ts';

const defaultReadyTimeoutMs = 30_000;

class Monitor implements EventMonitorHandle {
  readonly #protocol: ProtocolStream;
  readonly #router: Router;
  readonly #readiness = new Readiness();
  readonly #counters = new Counters();
  readonly #supervisor: StreamSupervisor;
  readonly #bufferLimit: number;
  /** Where another thread continues when this one is lost. */
  readonly #cursors = new SessionCursors();
  #baselineId: string | undefined;
  #generation = 1;
  #state: MonitorState = 'opening';
  #gaps = 0;
  #error: OpencodeManagerError | undefined;
  /** Why the newest connection attempt failed, for the error of a wait that is given up. */
  #attemptReason = 'the server sent nothing';
  #closing: Promise<void> | undefined;

  constructor(server: EventSource, options: EventMonitorOptions) {
    const { bufferLimit, ...settings } = settingsOf(server, options);
    this.#bufferLimit = bufferLimit;
    this.#protocol = protocolNamed(settings.protocol).stream;
    this.#router = new Router(this.#protocol, () => this.#counters.unopened++);
    this.#supervisor = new StreamSupervisor(settings, {
      onMessage: (message) => this.#onMessage(message),
      onLost: (error) => this.#onWorkerLost(error),
      onGivenUp: (error) => this.#fail(workerLostError(error)),
      beginning: () => ({ generation: this.#generation, resume: this.#resumePoint() }),
    });
    this.#supervisor.start();
  }

  get state(): MonitorState {
    return this.#state;
  }

  get gaps(): number {
    return this.#gaps;
  }

  get stats(): MonitorStats {
    return this.#counters.snapshot();
  }

  get error(): OpencodeManagerError | undefined {
    return this.#error;
  }

  streamEvents(filter: EventFilter = {}, options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<MonitorEvent> {
    this.#assertOpen();
    const subscription = new IteratorSubscription(filter, {
      limit: this.#bufferLimit,
      signal: options.signal,
      onDropped: (count) => {
        this.#counters.dropped += count;
      },
      leave: (leaving) => this.#router.remove(leaving),
    });
    this.#router.add(subscription);
    return subscription;
  }

  sessionEvents(sessionId: string, options?: { readonly signal?: AbortSignal }): AsyncIterableIterator<MonitorEvent> {
    return this.streamEvents({ sessionId }, options);
  }

  on(filter: EventFilter, listener: (event: MonitorEvent) => void): () => void {
    this.#assertOpen();
    const subscription = new ListenerSubscription(filter, listener);
    this.#router.add(subscription);
    return () => this.#router.remove(subscription);
  }

  async ready({
    signal,
    timeoutMs = defaultReadyTimeoutMs,
  }: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {}): Promise<void> {
    this.#assertOpen();
    if (this.#state !== 'live') await this.#readiness.wait(timeoutMs, signal, () => this.#attemptReason);
  }

  reconnect(reason = 'asked for by reconnect()'): void {
    this.#supervisor.post({ type: 'reconnect', reason });
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #onMessage(message: FromStreamTask): void {
    // What was on its way when the monitor was closed must not bring it back to life.
    if (this.#closing) return;
    switch (message.type) {
      case 'batch':
        return this.#onBatch(message);
      case 'late-sequence':
        return this.#cursors.note(message);
      case 'gap':
        return this.#onGap(message.generation, message.reason);
      case 'live':
        return this.#onLive(message);
      case 'attempt-failed':
        this.#attemptReason = message.reason;
        return;
      case 'refused':
        return this.#fail(refusedError(message.reason, message.statusCode));
    }
  }

  #onBatch(batch: Extract<FromStreamTask, { type: 'batch' }>): void {
    this.#counters.addBatch(batch);
    const events = batch.text.heads === '' ? [] : decodeBatch(batch.text, this.#protocol);
    for (const event of events) this.#cursors.note(event);
    this.#router.dispatch(events);
    this.#supervisor.acknowledge();
  }

  #onGap(generation: number, reason: string): void {
    this.#gaps++;
    this.#generation = generation;
    this.#state = 'reconnecting';
    this.#attemptReason = reason;
    this.#announce({ type: 'stream.gap', generation, reason });
  }

  #onLive({ generation, replayed, incomplete, baselineId }: Extract<FromStreamTask, { type: 'live' }>): void {
    if (this.#state === 'reconnecting') this.#counters.reconnects++;
    this.#baselineId = baselineId;
    this.#state = 'live';
    this.#readiness.resolveAll();
    this.#announce({ type: 'stream.live', generation, replayed, ...(incomplete && { incomplete }) });
  }

  #onWorkerLost(error: Error): void {
    this.#counters.workerRestarts++;
    const reason = `the stream's thread was lost (${error.message})`;
    // Within a gap, or before the first record, nothing more is lost than was said.
    if (this.#state === 'live') this.#onGap(this.#generation + 1, reason);
    else this.#attemptReason = reason;
  }

  #resumePoint(): ResumePoint | null {
    if (this.#baselineId === undefined) return null;
    return { cursors: this.#cursors.entries, baselineId: this.#baselineId };
  }

  #announce(notice: MonitorNotice): void {
    this.#router.announce({ ...notice, plane: 'lifecycle' });
  }

  #fail(error: OpencodeManagerError): void {
    if (this.#closing) return;
    this.#state = 'failed';
    this.#error = error;
    // Before anybody is told: a listener that closes the monitor must not turn the failure into a normal end.
    this.#closing = this.#supervisor.close();
    this.#announce({ type: 'stream.failed', error: error.toJSON() });
    this.#readiness.rejectAll(error);
    this.#router.end(error);
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    this.#readiness.rejectAll(closedError());
    this.#router.end(undefined);
    await this.#supervisor.close();
  }

  #assertOpen(): void {
    if (this.#error) throw this.#error;
    if (this.#state === 'closed') throw closedError();
  }
}

function closedError(): OpencodeManagerError {
  return new OpencodeManagerError('MONITOR_CLOSED', 'The event monitor is closed; open a new one.');
}

function refusedError(reason: string, statusCode: number): OpencodeManagerError {
  return new OpencodeManagerError(
    'STREAM_UNAVAILABLE',
    `The event stream cannot be opened: ${reason}. Check that url and credentials are those of one server.`,
    {
      details: { statusCode },
    },
  );
}

function workerLostError(cause: Error): OpencodeManagerError {
  return new OpencodeManagerError(
    'STREAM_WORKER_LOST',
    `The thread that reads the event stream ended again and again; last: ${cause.message}.`,
    { cause },
  );
}

/** The one event connection of a server; see {@link EventMonitorHandle}. */
export type EventMonitor = EventMonitorHandle;

/**
 * Opens the event connection of a server in a worker thread.
 *
 * The monitor is usable at once and connects in the background: subscribe first, then await `ready()`, then act; what
 * the server sent before that is not seen. `open` throws `CONFIG_INVALID` for an option that cannot be used.
 *
 * @example
 * await using monitor = EventMonitor.open(server)
 * monitor.on({ type: 'permission.*' }, (event) => console.log(event.type, event.sessionId))
 * await monitor.ready()
 * for await (const event of monitor.sessionEvents(session.id)) {
 *   if (event.type === 'part.delta') process.stdout.write(event.data.delta)
 *   if (event.type === 'session.idle') break
 * }
 * @public
 */
export const EventMonitor = {
  open: (server: EventSource, options: EventMonitorOptions = {}): EventMonitorHandle => new Monitor(server, options),
};
