import type { MonitorEvent } from '@opencode-manager/events';

type Source = AsyncIterator<MonitorEvent, undefined>;
type Result = IteratorResult<MonitorEvent, undefined>;

const done: Result = { done: true, value: undefined };

/**
 * One iterator over several that come and go. One event of each source is taken ahead at most, so that what a slow consumer
 * leaves waits in the bounded buffers of the sources. Each source keeps its order.
 */
export class MergedStream implements AsyncIterableIterator<MonitorEvent, undefined> {
  readonly #sources = new Set<Source>();
  readonly #ready: { readonly source: Source; readonly event: MonitorEvent }[] = [];
  readonly #waiting: PromiseWithResolvers<Result>[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #onLeft: () => void;
  #finished = false;
  #error: unknown;

  constructor(signal: AbortSignal | undefined, onLeft: () => void) {
    this.#signal = signal;
    this.#onLeft = onLeft;
  }

  add(source: Source): void {
    this.#sources.add(source);
    this.#take(source);
  }

  /** No further source will come. */
  finish(): void {
    this.#finished = true;
    this.#endWhenDry();
  }

  next(): Promise<Result> {
    const first = this.#ready.shift();
    if (first) {
      this.#take(first.source);
      return Promise.resolve({ done: false, value: first.event });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#isDry()) return Promise.resolve(done);
    const waiting = Promise.withResolvers<Result>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  async return(): Promise<Result> {
    this.#finished = true;
    this.#ready.length = 0;
    const sources = [...this.#sources];
    this.#sources.clear();
    this.#onLeft();
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(done);
    await Promise.all(sources.map(async (source) => source.return?.()));
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(source: Source): void {
    if (!this.#sources.has(source)) return;
    source.next().then(
      (result) => (result.done ? this.#drop(source) : this.#put(source, result.value)),
      (error: unknown) => this.#fail(error),
    );
  }

  #put(source: Source, event: MonitorEvent): void {
    if (!this.#sources.has(source)) return;
    const waiting = this.#waiting.shift();
    if (!waiting) return void this.#ready.push({ source, event });
    waiting.resolve({ done: false, value: event });
    this.#take(source);
  }

  #drop(source: Source): void {
    this.#sources.delete(source);
    this.#endWhenDry();
  }

  #fail(error: unknown): void {
    this.#error = error;
    this.#onLeft();
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  #isDry(): boolean {
    return this.#sources.size === 0 && this.#ready.length === 0 && (this.#finished || this.#signal?.aborted === true);
  }

  #endWhenDry(): void {
    if (!this.#isDry()) return;
    this.#onLeft();
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(done);
  }
}
