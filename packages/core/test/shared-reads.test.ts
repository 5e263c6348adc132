import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isManagerError } from '@opencode-manager/core';
import type { HttpClient } from '../src/http/index.ts';
import { createHttpClient } from '../src/http/index.ts';
import { createCatalogueReader } from '../src/server/catalogue.ts';
import { startFaultProxy } from '@opencode-manager/testing';
import { createTurnQueue } from '../src/session/turn-queue.ts';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([{ reply: 'Done.' }]);
});
afterAll(() => bench[Symbol.asyncDispose]());

/** A client whose requests pass through a proxy. */
async function throughProxy() {
  const proxy = await startFaultProxy({ target: bench.server.url });
  const client: HttpClient = createHttpClient({ ...bench.server.credentials(), url: proxy.url }, bench.server.redactor);
  return {
    proxy,
    read: createCatalogueReader(client, () => undefined),
    [Symbol.asyncDispose]: () => client.close().then(() => proxy.stop()),
  };
}

describe("a directory's catalogue", () => {
  test("is read once; one caller's signal or deadline does not end the read of the others", async () => {
    await using through = await throughProxy();
    const { proxy, read } = through;
    proxy.rule({ when: { path: '/agent' }, fault: { type: 'stall', at: 'response' } });
    const caller = new AbortController();
    const directory = bench.workspace.path;
    const [first, second, third] = [read(directory, { signal: caller.signal }), read(directory, { timeoutMs: 50 }), read(directory)];
    const codes = [failureOf(first), failureOf(second)];
    await proxy.waitForFaults(1);
    caller.abort();
    expect((await Promise.all(codes)).map(({ code }) => code)).toEqual(['REQUEST_ABORTED', 'REQUEST_TIMEOUT']);
    proxy.resume();
    expect((await third).models).toEqual(['scripted/model', 'scripted/small']);
    expect(await read(directory)).toBe(await third);
    expect(proxy.requests.filter(({ path }) => path.startsWith('/agent')).length).toBe(1);
  });

  test('a read that failed is not remembered', async () => {
    await using through = await throughProxy();
    through.proxy.rule({ when: { path: '/command' }, times: 1, fault: { type: 'drop', at: 'response' } });
    expect((await failureOf(through.read(bench.workspace.path))).code).toBe('CONNECTION_LOST');
    expect((await through.read(bench.workspace.path)).agents).toContain('build');
  });
});

test("the state of a directory: one caller's deadline and signal are its own", async () => {
  const caller = AbortSignal.abort(new Error('not any more'));
  const reads = [
    bench.server.snapshot(undefined, { signal: caller }),
    bench.server.snapshot(),
    bench.server.snapshot(undefined, { timeoutMs: 0 }),
  ];
  const [aborted, whole, late] = await Promise.allSettled(reads);
  expect(whole).toMatchObject({ status: 'fulfilled', value: { status: {} } });
  for (const [settled, code] of [
    [aborted, 'REQUEST_ABORTED'],
    [late, 'REQUEST_TIMEOUT'],
  ] as const) {
    expect(settled!.status === 'rejected' && isManagerError(settled!.reason, code)).toBe(true);
  }
});

describe('the queue', () => {
  test('runs one job at a time in order, goes on after one that fails, and lets the aborted go at once', async () => {
    const queue = createTurnQueue();
    const order: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = queue.run(async () => {
      await gate.promise;
      throw new Error('first');
    });
    const caller = new AbortController();
    const second = queue.run(async () => void order.push('second'), caller.signal);
    const third = queue.run(async () => void order.push('third'));
    const fourth = queue.run(async () => void order.push('fourth'));
    expect(queue.waiting).toBe(3);
    caller.abort(new Error('second is not wanted'));
    await expect(second).rejects.toThrow('second is not wanted');
    await expect(queue.run(async () => 'never', caller.signal)).rejects.toThrow('second is not wanted');
    expect([queue.waiting, order]).toEqual([2, []]);
    gate.resolve();
    await expect(first).rejects.toThrow('first');
    await Promise.all([third, fourth]);
    expect([queue.waiting, order]).toEqual([0, ['third', 'fourth']]);
  });
});
