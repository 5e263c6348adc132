import { describe, expect, test } from 'vitest';
import { runAll } from '../../src/pool/run-all.ts';
import type { Task, TaskResult } from '../../src/index.ts';

/** A runner whose tasks end when they are told to. */
function manualRunner() {
  const open = new Map<string, PromiseWithResolvers<TaskResult>>();
  const aborted: string[] = [];
  return {
    open,
    aborted,
    begin: (task: Task) => {
      const id = task.id!;
      const settled = Promise.withResolvers<TaskResult>();
      open.set(id, settled);
      const abort = () => {
        aborted.push(id);
        settled.resolve({ id, outcome: 'aborted' } as TaskResult);
      };
      return { result: settled.promise, abort };
    },
    end: (id: string) => open.get(id)!.resolve({ id, outcome: 'succeeded' } as TaskResult),
  };
}

const batch = (slots: number, signal?: AbortSignal) => ({ slots, signal, onClosing: () => () => {} });
const tasks = (...ids: string[]): Task[] => ids.map((id) => ({ id, prompt: 'x' }));

describe('runAll', () => {
  test('a consumer that is slow does not keep slots idle, up to as many results as slots', async () => {
    const runner = manualRunner();
    const results = runAll(runner.begin, tasks('a', 'b', 'c', 'd', 'e'), batch(2));
    const first = results.next();
    await expect.poll(() => [...runner.open.keys()]).toEqual(['a', 'b']);
    runner.end('a');
    expect((await first).value).toMatchObject({ id: 'a' });
    // Nobody asks for the next result; the freed slot is used all the same.
    await expect.poll(() => [...runner.open.keys()]).toEqual(['a', 'b', 'c']);
    runner.end('b');
    await expect.poll(() => [...runner.open.keys()]).toEqual(['a', 'b', 'c', 'd']);
    runner.end('c');
    // Two results wait: no task is taken until one of them is.
    expect((await results.next()).value).toMatchObject({ id: 'b' });
    await expect.poll(() => [...runner.open.keys()]).toEqual(['a', 'b', 'c', 'd', 'e']);
    await results.return!();
    expect(runner.aborted.filter((id) => id >= 'd')).toEqual(['d', 'e']);
  });

  test('an asynchronous source that is slow does not hold back results', async () => {
    const runner = manualRunner();
    const more = Promise.withResolvers<void>();
    async function* source(): AsyncGenerator<Task> {
      yield* tasks('a');
      await more.promise;
      yield* tasks('b');
    }
    const results = runAll(runner.begin, source(), batch(4));
    const first = results.next();
    await expect.poll(() => runner.open.size).toBe(1);
    runner.end('a');
    expect((await first).value).toMatchObject({ id: 'a' });
    more.resolve();
    const second = results.next();
    await expect.poll(() => runner.open.size).toBe(2);
    runner.end('b');
    expect((await second).value).toMatchObject({ id: 'b' });
    expect((await results.next()).done).toBe(true);
  });

  test('an error of the source aborts what is in flight and is thrown', async () => {
    const runner = manualRunner();
    function* source(): Generator<Task> {
      yield* tasks('a');
      throw new Error('the file ended early');
    }
    await expect(runAll(runner.begin, source(), batch(2)).next()).rejects.toThrow('the file ended early');
    expect(runner.aborted).toEqual(['a']);
  });

  test('an abort ends the run with the results of what was in flight', async () => {
    const runner = manualRunner();
    const caller = new AbortController();
    const results = runAll(runner.begin, tasks('a', 'b', 'c'), batch(2, caller.signal));
    const first = results.next();
    await expect.poll(() => runner.open.size).toBe(2);
    caller.abort();
    const outcomes = [(await first).value, (await results.next()).value];
    expect(outcomes).toMatchObject([{ outcome: 'aborted' }, { outcome: 'aborted' }]);
    expect((await results.next()).done).toBe(true);
    expect(runner.open.size).toBe(2);
  });

  test('an abort after the last task was taken aborts what is in flight', async () => {
    const runner = manualRunner();
    const caller = new AbortController();
    const results = runAll(runner.begin, tasks('a'), batch(2, caller.signal));
    const first = results.next();
    await expect.poll(() => runner.open.size).toBe(1);
    caller.abort();
    expect((await first).value).toMatchObject({ id: 'a', outcome: 'aborted' });
    expect((await results.next()).done).toBe(true);
  });

  test('a source that waits for ever does not hold back the end, after an abort, a stop or when the loop is left', async () => {
    const waiting = () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<IteratorResult<Task>>(() => {}) }) });
    const caller = new AbortController();
    const aborted = runAll(manualRunner().begin, waiting(), batch(2, caller.signal));
    const first = aborted.next();
    caller.abort();
    expect(await first).toEqual({ done: true, value: undefined });

    let close = () => {};
    const onClosing = (listener: () => void) => {
      close = listener;
      return () => {};
    };
    const stopped = runAll(manualRunner().begin, waiting(), { slots: 2, signal: undefined, onClosing });
    const second = stopped.next();
    close();
    expect(await second).toEqual({ done: true, value: undefined });

    const left = runAll(manualRunner().begin, waiting(), batch(2));
    const third = left.next();
    expect(await left.return!()).toEqual({ done: true, value: undefined });
    expect(await third).toEqual({ done: true, value: undefined });
  });

  test('leaving while next() waits aborts what is in flight', async () => {
    const runner = manualRunner();
    const results = runAll(runner.begin, tasks('a', 'b'), batch(2));
    const next = results.next();
    await expect.poll(() => runner.open.size).toBe(2);
    await results.return!();
    expect(runner.aborted).toEqual(['a', 'b']);
    expect((await next).value).toMatchObject({ outcome: 'aborted' });
  });

  test('a source that throws while it is closed harms nobody', async () => {
    const controller = new AbortController();
    function* abortsItself(): Generator<Task> {
      yield { id: 'a' };
      controller.abort();
      yield { id: 'b' };
    }
    const runner = manualRunner();
    const results = runAll(runner.begin, abortsItself(), { ...batch(2), signal: controller.signal });
    expect((await results.next()).value).toMatchObject({ id: 'a', outcome: 'aborted' });
    while (!(await results.next()).done);
    const fail = () => {
      throw new Error('closing the file failed');
    };
    function* throwsAtItsEnd(): Generator<Task> {
      try {
        yield { id: 'c' };
        yield { id: 'd' };
        yield { id: 'e' };
      } finally {
        fail();
      }
    }
    const other = manualRunner();
    const left = runAll(other.begin, throwsAtItsEnd(), batch(2));
    const next = left.next();
    await expect.poll(() => other.open.size).toBe(2);
    await left.return!();
    expect(other.aborted).toEqual(['c', 'd']);
    await next;
  });

  test('what is no iterable is refused', () => {
    expect(() => runAll(manualRunner().begin, undefined as never, batch(2))).toThrow('no iterable of tasks');
  });
});
