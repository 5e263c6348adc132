import { describe, expect, test } from 'vitest';
import { runAll } from '../../src/pool/run-all.ts';
import type { AbortSource } from '../../src/pool/shared-signal.ts';
import type { Task, TaskResult } from '../../src/index.ts';

/** A runner whose tasks end when they are told to. */
function manualRunner() {
  const open = new Map<string, PromiseWithResolvers<TaskResult>>();
  const aborted: string[] = [];
  return {
    open,
    aborted,
    run: (task: Task, signal: AbortSource): Promise<TaskResult> => {
      const id = task.id!;
      const settled = Promise.withResolvers<TaskResult>();
      open.set(id, settled);
      const end = (outcome: string) => settled.resolve({ id, outcome } as TaskResult);
      signal.addEventListener('abort', () => {
        aborted.push(id);
        end('aborted');
      });
      return settled.promise;
    },
    end: (id: string) => open.get(id)!.resolve({ id, outcome: 'succeeded' } as TaskResult),
  };
}

const tasks = (...ids: string[]): Task[] => ids.map((id) => ({ id, prompt: 'x' }));

describe('runAll', () => {
  test('a consumer that is slow does not keep slots idle, up to as many results as slots', async () => {
    const runner = manualRunner();
    const results = runAll(runner.run, tasks('a', 'b', 'c', 'd', 'e'), 2, undefined);
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
    await results.return(undefined);
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
    const results = runAll(runner.run, source(), 4, undefined);
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
    await expect(runAll(runner.run, source(), 2, undefined).next()).rejects.toThrow('the file ended early');
    expect(runner.aborted).toEqual(['a']);
  });

  test('an abort ends the run with the results of what was in flight', async () => {
    const runner = manualRunner();
    const caller = new AbortController();
    const results = runAll(runner.run, tasks('a', 'b', 'c'), 2, caller.signal);
    const first = results.next();
    await expect.poll(() => runner.open.size).toBe(2);
    caller.abort();
    const outcomes = [(await first).value, (await results.next()).value];
    expect(outcomes).toMatchObject([{ outcome: 'aborted' }, { outcome: 'aborted' }]);
    expect((await results.next()).done).toBe(true);
    expect(runner.open.size).toBe(2);
  });
});
