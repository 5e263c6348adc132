import { expect, test } from 'vitest';
import { startBench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';

test('an answer that breaks off is asked for again: the result holds the second one alone', async () => {
  const broken = (user: string) => ({
    when: { user },
    reply: { text: 'This breaks off in the middle.', fault: 'cut-mid-stream' as const },
    times: 1,
  });
  await using bench = await startBench([
    broken('pool'),
    broken('session'),
    { when: { user: /from the (\S+)/ }, reply: 'Hello, {{user.1}}.' },
  ]);
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor });
  const session = await bench.server.createSession();
  const [result, turn] = await Promise.all([pool.run({ prompt: 'from the pool' }), session.prompt('from the session')]);
  expect(result).toMatchObject({ outcome: 'succeeded', output: 'Hello, pool.', retries: 1, attempt: 1 });
  expect(turn.text).toBe('Hello, session.');
  expect(bench.model.turnCalls.map(({ outcome }) => outcome).toSorted()).toEqual(['completed', 'completed', 'cut', 'cut']);
});
