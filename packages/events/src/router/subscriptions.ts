import type { EventFilter, MonitorEvent } from '../monitor/types.ts';
import { BoundedBuffer } from './bounded-buffer.ts';
import { compileFilter, type CompiledFilter } from './filter.ts';

/** One place to which the router delivers. */
export interface Subscription {
  readonly filter: CompiledFilter;
  /** False once it has left; the router may still hold it for the rest of a batch. */
  active: boolean;
  deliver(event: MonitorEvent): void;
  /** No more events will come; with an error when the monitor failed. */
  end(error: Error | undefined): void;
}

/** Calls a listener at once. What it throws is reported as a process warning, the first time, and goes no further. */
export class ListenerSubscription implements Subscription {
  readonly filter: CompiledFilter;
  active = true;
  readonly #listener: (event: MonitorEvent) => void;
  #reported = false;

  constructor(filter: EventFilter, listener: (event: MonitorEvent) => void) {
    this.filter = compileFilter(filter);
    this.#listener = listener;
  }

  deliver(event: MonitorEvent): void {
    try {
      this.#listener(event);
    } catch (error) {
      this.#report(error);
    }
  }

  end(): void {}

  #report(error: unknown): void {
    if (this.#reported) return;
    this.#reported = true;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.emitWarning(`A listener of the event monitor threw; it stays subscribed, and later throws of it are not reported. ${text}`, {
      code: 'OPENCODE_MANAGER_LISTENER_THREW',
    });
  }
}

interface Waiting {
  resolve(result: IteratorResult<MonitorEvent, undefined>): void;
  reject(error: Error): void;
}

/** An async iterator over a bounded buffer; see {@link BoundedBuffer} for what happens to a slow consumer. */
export class IteratorSubscription implements Subscription, AsyncIterableIterator<MonitorEvent, undefined> {
  readonly filter: CompiledFilter;
  active = true;
  readonly #buffer: BoundedBuffer;
  readonly #leave: (subscription: Subscription) => void;
  readonly #waiting: Waiting[] = [];
  #ended = false;
  #error: Error | undefined;
  #stopListening: (() => void) | undefined;

  constructor(
    filter: EventFilter,
    options: {
      limit: number;
      signal?: AbortSignal | undefined;
      onDropped: (count: number) => void;
      leave: (subscription: Subscription) => void;
    },
  ) {
    this.filter = compileFilter(filter);
    this.#buffer = new BoundedBuffer(options.limit, options.onDropped);
    this.#leave = options.leave;
    this.#followSignal(options.signal);
  }

  deliver(event: MonitorEvent): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve({ done: false, value: event });
    else this.#buffer.push(event);
  }

  /** What is in the buffer can still be read. */
  end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopListening?.();
    this.#error = error;
    for (const waiting of this.#waiting.splice(0)) {
      if (this.#error) waiting.reject(this.#takeError()!);
      else waiting.resolve({ done: true, value: undefined });
    }
  }

  // Not an async function: it would cost each event a second promise.
  next(): Promise<IteratorResult<MonitorEvent, undefined>> {
    const value = this.#buffer.shift();
    if (value) return Promise.resolve({ done: false, value });
    if (!this.#ended) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    const error = this.#takeError();
    return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
  }

  return(): Promise<IteratorResult<MonitorEvent, undefined>> {
    this.#stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop();
  }

  #stop(): void {
    this.#leave(this);
    this.end(undefined);
    this.#buffer.clear();
  }

  /** An error is told once; after it the iterator is simply done. */
  #takeError(): Error | undefined {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  #followSignal(signal: AbortSignal | undefined): void {
    if (!signal) return;
    const onAbort = () => this.#stop();
    if (signal.aborted) return queueMicrotask(onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#stopListening = () => signal.removeEventListener('abort', onAbort);
  }
}
