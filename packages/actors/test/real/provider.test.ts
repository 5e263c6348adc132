import { opencodeUnderTest } from '@opencode-manager/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { until } from '../support/watch.ts';

const { by } = opencodeUnderTest();

const broken = (user: string) => ({
  when: { user },
  reply: { text: 'This breaks off in the middle.', fault: 'cut-mid-stream' as const },
  times: 1,
});

let bench: Bench;
beforeAll(async () => {
  const absent = { npm: 'file:///no/such/package.js', models: { one: {} } };
  const opencodeConfig = { provider: { absent }, enabled_providers: ['scripted', 'absent'] };
  const rules = [
    {
      name: 'refused',
      when: { user: 'go' },
      reply: { error: { status: 429, message: 'Rate limit reached', retryAfterSeconds: 3 } },
      times: 1,
    },
    { when: { user: 'go' }, reply: 'done' },
    broken('pool'),
    broken('session'),
    { when: { user: /from the (\S+)/ }, reply: 'Hello, {{user.1}}.' },
    // The summary that opencode 2 goes on with holds what the user had said.
    { when: { user: /^<conversation-checkpoint>/ }, reply: 'All done after the summary.' },
    {
      when: { user: 'fill the context' },
      reply: [
        {
          toolCalls: [{ name: 'bash', arguments: { command: 'echo x', description: 'x' } }],
          usage: { inputTokens: 60_000, outputTokens: 10 },
        },
        'too early',
      ],
    },
    { when: { purpose: 'summary' as const }, reply: '## Objective\n- To fill the context.' },
    { reply: 'All done after the summary.' },
  ];
  bench = await startBench(rules, { opencodeConfig }, { model: { contextTokens: 50_000, outputTokens: 4000 } });
});
afterAll(() => bench?.[Symbol.asyncDispose]());

test('one provider that says no holds back the new turns of the whole pool, ends none in flight, and opens slowly', async () => {
  bench.model.reset();
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor, maxSessions: 4 });
  const first = pool.run({ id: 'first', prompt: 'go' });
  await until(pool, ({ provider }) => provider.heldUntilMs !== null);
  const { provider } = pool.snapshot();
  expect(provider).toMatchObject({ limit: 2, holds: 1 });
  expect(provider.heldUntilMs! - Date.now()).toBeGreaterThan(1000);

  const others = Array.from({ length: 6 }, (_, index) => pool.run({ id: `t${index}`, prompt: 'go' }));
  expect(pool.snapshot()).toMatchObject({ active: 1, queued: 6 });
  let most = 0;
  pool.on('task.started', () => (most = Math.max(most, pool.snapshot().active)));
  expect(await first).toMatchObject({ outcome: 'succeeded', retries: 1 });
  expect((await Promise.all(others)).map(({ outcome }) => outcome)).toEqual(others.map(() => 'succeeded'));
  // Nothing was asked before the time that the provider had named (its header counts whole seconds from its own clock).
  const [refused, ...later] = bench.model.turnCalls;
  for (const { startedAtMs } of later) expect(startedAtMs - refused!.startedAtMs).toBeGreaterThan(2500);
  expect(most).toBeLessThanOrEqual(4);
  expect(bench.model.turnCalls.filter(({ rule }) => rule === 'refused')).toHaveLength(1);
  expect(pool.snapshot().provider).toMatchObject({ limit: 4, heldUntilMs: null });
});

test(`an answer that breaks off is asked for again: the result holds ${by({ v1: 'the second one alone', v2: 'both, of which the second one is the rest' })}`, async () => {
  bench.model.reset();
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor });
  const session = await bench.server.createSession();
  const [result, turn] = await Promise.all([pool.run({ prompt: 'from the pool' }), session.prompt('from the session')]);
  expect(result).toMatchObject({
    outcome: 'succeeded',
    output: by({ v1: 'Hello, pool.', v2: expect.stringMatching(/^This breaks .*Hello, pool\.$/) as string }),
    retries: 1,
    attempt: 1,
  });
  expect(turn.text).toEqual(by({ v1: 'Hello, session.', v2: expect.stringMatching(/^This breaks .*Hello, session\.$/) as string }));
  expect(bench.model.turnCalls.map(({ outcome }) => outcome).toSorted()).toEqual(['completed', 'completed', 'cut', 'cut']);
});

test('a turn that opencode compacts half-way goes on, and its last answer is the result', async () => {
  bench.model.reset();
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor });
  const result = await pool.run({ prompt: 'fill the context' });
  expect(result).toMatchObject({ outcome: 'succeeded', output: 'All done after the summary.' });
  expect(bench.model.calls.some(({ purpose }) => purpose === 'summary')).toBe(true);
});

test('a provider whose package cannot be loaded ends its first turn, and says so', async () => {
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor });
  const result = await pool.run({ prompt: 'go', model: 'absent/one' });
  expect(result).toMatchObject({
    outcome: 'failed',
    error: {
      code: 'PACKAGE_UNAVAILABLE',
      message: expect.stringContaining(
        by({ v1: 'Failed to initialize provider: absent', v2: 'Cannot initialize absent/one: Cannot find module' }),
      ),
    },
  });
});
