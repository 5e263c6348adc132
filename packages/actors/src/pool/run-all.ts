import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { Task, TaskResult } from '../task/types.ts';

/** A task that was begun. */
interface BegunTask {
  readonly result: Promise<TaskResult>;
  abort(): void;
}

type Begin = (task: Task) => BegunTask;
type Tasks = Iterable<Task> | AsyncIterable<Task>;
type Result = IteratorResult<TaskResult, undefined>;

const done: Result = { done: true, value: undefined };

export interface RunAllOptions {
  /** Tasks at once, and results that wait for the consumer at most. */
  readonly slots: number;
  readonly signal: AbortSignal | undefined;
  /** Calls back when no further task is taken in; gives how to stop listening. */
  readonly onClosing: (listener: () => void) => () => void;
}

/**
 * Runs the tasks of an iterable, `slots` at once, and gives results in the order in which they come. A task is taken
 * only while a slot is free and fewer than `slots` results wait for the consumer. Leaving the loop, an abort of
 * `signal`, and an error of the iterable each abort what is in flight and wait for it, also while the iterable or the consumer waits.
 * Not a generator: that cannot be left while its `next()` waits. @throws `TASK_INVALID` for what is no iterable
 */
export function runAll(begin: Begin, tasks: Tasks, options: RunAllOptions): AsyncIterableIterator<TaskResult, undefined> {
  return new Batch(begin, sourceOf(tasks), options);
}

function sourceOf(tasks: Tasks): Iterator<Task> | AsyncIterator<Task> {
  const given = (tasks ?? {}) as Partial<Iterable<Task> & AsyncIterable<Task>>;
  if (typeof given[Symbol.asyncIterator] === 'function') return given[Symbol.asyncIterator]!();
  if (typeof given[Symbol.iterator] === 'function' && typeof tasks !== 'string') return given[Symbol.iterator]!();
  throw new OpencodeManagerError('TASK_INVALID', `runAll(): received ${typeof tasks}, which is no iterable of tasks. Nothing was sent.`);
}

/** Takes tasks in at one end and gives results out at the other. */
class Batch implements AsyncIterableIterator<TaskResult, undefined> {
  readonly #begin: Begin;
  readonly #source: Iterator<Task> | AsyncIterator<Task>;
  readonly #slots: number;
  readonly #inFlight = new Set<BegunTask>();
  readonly #results: TaskResult[] = [];
  readonly #waiting: PromiseWithResolvers<Result>[] = [];
  readonly #stopListening: () => void;
  #failure: { readonly error: unknown } | undefined;
  /** No further task is taken. */
  #closed = false;
  #taking = false;
  #idle = Promise.withResolvers<void>();

  constructor(begin: Begin, source: Iterator<Task> | AsyncIterator<Task>, { slots, signal, onClosing }: RunAllOptions) {
    this.#begin = begin;
    this.#source = source;
    this.#slots = slots;
    const abort = () => this.#close(true);
    signal?.addEventListener('abort', abort, { once: true });
    const stop = onClosing(() => this.#close(false));
    this.#stopListening = () => {
      signal?.removeEventListener('abort', abort);
      stop();
    };
    if (signal?.aborted) this.#close(true);
    // As a generator does: nothing is taken before somebody asks.
  }

  next(): Promise<Result> {
    const waiting = Promise.withResolvers<Result>();
    this.#waiting.push(waiting);
    this.#settle();
    void this.#take();
    return waiting.promise;
  }

  async return(): Promise<Result> {
    this.#close(true);
    this.#results.length = 0;
    while (this.#inFlight.size > 0) await this.#idle.promise;
    this.#results.length = 0;
    this.#failure = undefined;
    this.#settle();
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(aborts: boolean): void {
    if (!this.#closed) {
      this.#closed = true;
      // One that waits for its next task may not answer: it is not waited for.
      void endSource(this.#source);
    }
    if (aborts) for (const task of this.#inFlight) task.abort();
    this.#settle();
  }

  async #take(): Promise<void> {
    if (this.#taking) return;
    this.#taking = true;
    try {
      while (!this.#closed && this.#inFlight.size < this.#slots && this.#results.length < this.#slots) {
        const taken = this.#source.next();
        const next = 'then' in taken ? await taken : taken;
        if (this.#closed) break;
        if (next.done) this.#closed = true;
        else this.#start(next.value);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#taking = false;
      this.#settle();
    }
  }

  #start(task: Task): void {
    const begun = this.#begin(task);
    this.#inFlight.add(begun);
    begun.result
      .then(
        (result) => void this.#results.push(result),
        (error: unknown) => this.#fail(error),
      )
      .finally(() => this.#onOver(begun));
  }

  #onOver(begun: BegunTask): void {
    this.#inFlight.delete(begun);
    this.#idle.resolve();
    this.#idle = Promise.withResolvers();
    this.#settle();
    void this.#take();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#close(true);
  }

  /** Gives out what is there, and the end when nothing will come any more. */
  #settle(): void {
    // Until then: an abort still means what is in flight when the last task was taken.
    if (this.#closed && this.#inFlight.size === 0) this.#stopListening();
    while (this.#waiting.length > 0) {
      if (this.#failure && this.#inFlight.size === 0) {
        const { error } = this.#failure;
        this.#failure = undefined;
        this.#results.length = 0;
        this.#waiting.shift()!.reject(error);
      } else if (!this.#failure && this.#results.length > 0) {
        this.#waiting.shift()!.resolve({ done: false, value: this.#results.shift()! });
      } else if (this.#closed && this.#inFlight.size === 0 && !this.#failure) {
        this.#waiting.shift()!.resolve(done);
      } else {
        return;
      }
    }
  }
}

/** A source may throw at once: a generator that aborts itself runs, and its `finally` is the caller's code. */
async function endSource(source: Iterator<Task> | AsyncIterator<Task>): Promise<void> {
  try {
    await source.return?.();
  } catch {
    // Its tasks are told; how it ends is its own affair.
  }
}
