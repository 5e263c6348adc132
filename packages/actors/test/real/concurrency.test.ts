import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([{ when: { user: /number (\d+)/ }, reply: { text: 'You said {{user.1}}.', delayMs: 1500 } }]);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

test.each([5, 20, 50])('%i sessions at once each get their own answer', async (count) => {
  bench.model.reset();
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor, maxSessions: count });
  const numbers = Array.from({ length: count }, (_, index) => index);
  const results = await Promise.all(numbers.map((number) => pool.run({ id: `n${number}`, prompt: `number ${number}` })));
  expect(results.map(({ id, outcome, output }) => ({ id, outcome, output }))).toEqual(
    numbers.map((number) => ({ id: `n${number}`, outcome: 'succeeded', output: `You said ${number}.` })),
  );
  expect(bench.model.maxInFlight).toBeGreaterThanOrEqual(count);
  expect(new Set(results.map(({ session_id }) => session_id)).size).toBe(count);
});
