import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';

/** All are in flight at once when the first answer takes longer than the server needs to begin the last: 10 a second is slow. */
const counts = [5, 20, 50];

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(
    counts.map((count) => ({
      when: { user: new RegExp(`number (\\d+) of ${count}$`) },
      reply: { text: 'You said {{user.1}}.', delayMs: 1000 + 100 * count },
    })),
  );
});
afterAll(() => bench?.[Symbol.asyncDispose]());

test.each(counts)('%i sessions at once each get their own answer', async (count) => {
  bench.model.reset();
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor, maxSessions: count });
  const numbers = Array.from({ length: count }, (_, index) => index);
  const results = await Promise.all(numbers.map((number) => pool.run({ id: `n${number}`, prompt: `number ${number} of ${count}` })));
  expect(results.map(({ id, outcome, output }) => ({ id, outcome, output }))).toEqual(
    numbers.map((number) => ({ id: `n${number}`, outcome: 'succeeded', output: `You said ${number}.` })),
  );
  expect(bench.model.maxInFlight).toBeGreaterThanOrEqual(count);
  expect(new Set(results.map(({ session_id }) => session_id)).size).toBe(count);
});
