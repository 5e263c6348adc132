import type { OpencodeServer } from '@opencode-manager/core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { HealthCheck } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';

const slowly = { text: 'word '.repeat(400), tokensPerSecond: 20 };
/** Shorter than the defaults; what is judged, and how, is the same. */
const health: HealthCheck = { intervalMs: 300, timeoutMs: 1500, strikes: 3 };

const rules = [
  { name: 'slow', when: { user: 'begin' }, reply: slowly, times: 1 },
  { when: { user: 'begin' }, reply: 'begun' },
  { when: { user: 'talk' }, reply: { text: 'word '.repeat(60), tokensPerSecond: 15 } },
];

/** The real server, with its probes counted. */
function counting(server: OpencodeServer, onProbe: () => Promise<void>): OpencodeServer {
  return {
    ...server,
    async health(options) {
      await onProbe();
      return server.health(options);
    },
  };
}

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(rules);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

describe('a server that works', () => {
  // A test that fails must not leave it stopped to the next.
  afterEach(() => void process.kill(bench.server.pid, 'SIGCONT'));

  test('is left alone when it answers late', async () => {
    let probes = 0;
    const { pid } = bench.server;
    const server = counting(bench.server, async () => {
      probes += 1;
      // Two probes get no answer; the third does.
      if (probes === 3) process.kill(pid, 'SIGCONT');
    });
    await using pool = await createSessionPool({ server, recovery: true, health: { ...health, intervalMs: 1000 } });
    const task = pool.run({ prompt: 'talk' });
    await bench.model.waitForCalls(1);
    process.kill(pid, 'SIGSTOP');
    expect(await task).toMatchObject({ outcome: 'succeeded', attempt: 1 });
    expect(probes).toBeGreaterThanOrEqual(3);
    expect(pool.snapshot()).toMatchObject({ state: 'running', serverRestarts: 0 });
    expect(pool.server.pid).toBe(pid);
  });

  test('is alive while bytes come on the stream, whatever the probes say', async () => {
    const server: OpencodeServer = { ...bench.server, health: () => Promise.reject(new Error('never answered')) };
    await using pool = await createSessionPool({ server, recovery: true, health: { intervalMs: 1100, timeoutMs: 100, strikes: 1 } });
    expect(await pool.run({ prompt: 'talk' })).toMatchObject({ outcome: 'succeeded', attempt: 1 });
    expect(pool.snapshot()).toMatchObject({ serverRestarts: 0 });
  });
});

// The last one: another server takes the place of the bench's.
test('a server that accepts and never answers is killed and started again; its turns go on', async () => {
  await using pool = await createSessionPool({ server: bench.server, recovery: true, health });
  const task = pool.run({ prompt: 'begin' });
  await bench.model.waitForCalls(1, { rule: 'slow' });
  const { pid, exited } = bench.server;
  process.kill(pid, 'SIGSTOP');
  const stoppedAtMs = Date.now();
  const recovering = new Promise<number>((resolve) => void pool.on('pool.changed', ({ atMs }) => resolve(atMs)));
  expect((await recovering) - stoppedAtMs).toBeGreaterThan(health.strikes * health.timeoutMs - 500);
  expect(await exited).toMatchObject({ signal: 'SIGKILL', expected: true });
  expect(await task).toMatchObject({
    outcome: 'succeeded',
    output: 'begun',
    attempt: 2,
    attempts: [{ attempt: 1, outcome: 'interrupted' }],
  });
  expect(pool.snapshot()).toMatchObject({ state: 'running', serverRestarts: 1 });
});
