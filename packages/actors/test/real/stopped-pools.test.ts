import { getEventListeners } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { OpencodeServer } from '@opencode-manager/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SessionPoolOptions } from '../../src/index.ts';
import { createSessionPool } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([{ when: { user: 'say it' }, reply: 'Said.' }]);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

/** A pool that has worked and was stopped: what is left of it. Nothing here may hold it. */
async function stoppedPool(options: SessionPoolOptions, work: boolean): Promise<WeakRef<object>[]> {
  const pool = await createSessionPool(options);
  pool.on('*', () => {});
  if (work) {
    const { session_id } = await pool.run({ prompt: 'say it' }, options.signal ? { signal: options.signal } : {});
    expect(session_id).not.toBeNull();
    await pool.createSession();
  }
  await pool.stop();
  return [new WeakRef(pool), new WeakRef(pool.events), new WeakRef(pool.monitor)];
}

async function leftOf(refs: readonly WeakRef<object>[]): Promise<number> {
  for (let round = 0; round < 20; round += 1) {
    // A WeakRef holds its target until the task that has looked at it is over.
    await wait(20);
    collectGarbage();
    if (refs.every((ref) => ref.deref() === undefined)) return 0;
  }
  return refs.filter((ref) => ref.deref() !== undefined).length;
}

const kinds: readonly (readonly [string, (server: OpencodeServer) => SessionPoolOptions])[] = [
  ['that only use it', (server) => ({ server })],
  ['that may start it again', (server) => ({ server, recovery: true, sessions: 'reuse' })],
];

test.each(kinds)("stopped pools on a caller's server %s are collected, and leave no abort listener", async (_what, optionsOf) => {
  const abort = new AbortController();
  const options = { ...optionsOf(bench.server), signal: abort.signal };
  const refs: WeakRef<object>[] = [];
  for (let count = 0; count < 6; count += 1) refs.push(...(await stoppedPool(options, count % 3 === 0)));
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  expect(refs).toHaveLength(18);
  expect(await leftOf(refs)).toBe(0);
  expect(await bench.server.health()).toMatchObject({ version: bench.server.version });
});
