import type { Task, TaskResult } from '../task/types.ts';
import { SharedSignal, type AbortSource } from './shared-signal.ts';

type Run = (task: Task, signal: AbortSource) => Promise<TaskResult>;
type Tasks = Iterable<Task> | AsyncIterable<Task>;

/**
 * Runs the tasks of an iterable, `slots` at once, and yields results in the order in which they come. A task is taken
 * only while a slot is free and fewer than `slots` results wait for the consumer. Leaving the loop, an abort of
 * `signal`, and an error of the iterable each abort what is in flight and wait for it.
 */
export async function* runAll(
  run: Run,
  tasks: Tasks,
  slots: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<TaskResult, void, undefined> {
  const leave = new AbortController();
  const feed = new TaskFeed(run, slots, new SharedSignal(signal ? AbortSignal.any([signal, leave.signal]) : leave.signal));
  const feeding = feed.take(tasks);
  try {
    for (let result = await feed.next(); result; result = await feed.next()) yield result;
    await feeding;
  } finally {
    leave.abort();
    await Promise.allSettled([feeding, feed.settled()]);
  }
}

/** Takes tasks in at one end and gives results out at the other. */
class TaskFeed {
  readonly #run: Run;
  readonly #slots: number;
  readonly #signal: AbortSource;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #results: TaskResult[] = [];
  #failure: { readonly error: unknown } | undefined;
  #allTaken = false;
  #change = Promise.withResolvers<void>();
  /** Ends the wait for a task of a slow iterable. One for the wait of the moment: a wait for each task costs the square of their number. */
  #onOver: (() => void) | undefined;

  constructor(run: Run, slots: number, signal: AbortSource) {
    this.#run = run;
    this.#slots = slots;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#changed(), { once: true });
  }

  async take(tasks: Tasks): Promise<void> {
    const source = Symbol.asyncIterator in tasks ? tasks[Symbol.asyncIterator]() : tasks[Symbol.iterator]();
    try {
      for (let next = await this.#nextOf(source); next && !next.done; next = await this.#nextOf(source)) this.#start(next.value);
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#allTaken = true;
      this.#changed();
      await source.return?.();
    }
  }

  /** The next result; undefined when all is done. Throws what went wrong with a task's form or with the iterable. */
  async next(): Promise<TaskResult | undefined> {
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const result = this.#results.shift();
      if (result) {
        this.#changed();
        return result;
      }
      if (this.#allTaken && this.#inFlight.size === 0) return undefined;
      await this.#change.promise;
    }
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
  }

  /** Waits for a slot, then for a task; undefined when the run is aborted or has failed meanwhile. */
  async #nextOf(source: Iterator<Task> | AsyncIterator<Task>): Promise<IteratorResult<Task> | undefined> {
    while (!this.#isOver() && (this.#inFlight.size >= this.#slots || this.#results.length >= this.#slots)) await this.#change.promise;
    if (this.#isOver()) return undefined;
    const taken = source.next();
    if (!('then' in taken)) return taken;
    const next = Promise.resolve(taken);
    next.catch(() => undefined);
    const over = Promise.withResolvers<undefined>();
    this.#onOver = () => over.resolve(undefined);
    return Promise.race([next, over.promise]).finally(() => (this.#onOver = undefined));
  }

  #isOver(): boolean {
    return this.#signal.aborted || this.#failure !== undefined;
  }

  #start(task: Task): void {
    const turn = this.#run(task, this.#signal).then(
      (result) => void this.#results.push(result),
      (error: unknown) => {
        this.#failure ??= { error };
      },
    );
    this.#inFlight.add(turn);
    void turn.finally(() => {
      this.#inFlight.delete(turn);
      this.#changed();
    });
  }

  #changed(): void {
    if (this.#isOver()) this.#onOver?.();
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
