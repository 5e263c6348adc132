import { OpencodeManagerError, type OpencodeServer, type SessionOperations } from '@opencode-manager/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sessionMachine } from '../../src/machines/index.ts';
import { systemPorts } from '../../src/ports/system.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createPool, createSessionPool } from '../support/pool.ts';
import { until } from '../support/watch.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([
    { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
    { when: { user: 'stream slowly' }, reply: { text: 'word '.repeat(400), tokensPerSecond: 20 } },
  ]);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

/** The real server with a fault between it and the pool: what `change` makes of each new session's operations. */
function withFault(change: (operations: SessionOperations, index: number) => SessionOperations): OpencodeServer {
  let created = 0;
  return {
    ...bench.server,
    async createOperations(options) {
      const index = created;
      created += 1;
      return change(await bench.server.createOperations(options), index);
    },
  };
}

// One that never arrived: stream-faults.test.ts.
describe('a request whose answer is lost', () => {
  const timeout = () => new OpencodeManagerError('REQUEST_TIMEOUT', 'no answer in time');

  test('after the server took the turn: the history is read back, and the turn goes on, sent once', async () => {
    bench.model.reset();
    const server = withFault((operations) => ({
      ...operations,
      async submit(turn, options) {
        await operations.submit(turn, options);
        throw timeout();
      },
    }));
    await using pool = await createSessionPool({ server, monitor: bench.monitor });
    expect(await pool.run({ prompt: 'say once' })).toMatchObject({ outcome: 'succeeded', output: 'You said once.', attempt: 1 });
    expect(bench.model.turnCalls.length).toBe(1);
  });
});

describe('a session actor that fails', () => {
  const broken = (operations: SessionOperations): SessionOperations => ({
    ...operations,
    submit() {
      throw new Error('an effect threw');
    },
  });

  test('takes no neighbour with it; its task runs again on a fresh session', async () => {
    const server = withFault((operations, index) => (index === 0 ? broken(operations) : operations));
    await using pool = await createSessionPool({ server, monitor: bench.monitor, restartBudget: { backoffMs: [10] } });
    const results = await Promise.all(['a', 'b', 'c'].map((id) => pool.run({ id, prompt: `say ${id}` })));
    expect(results.map(({ outcome, output }) => ({ outcome, output }))).toEqual(
      ['a', 'b', 'c'].map((id) => ({ outcome: 'succeeded', output: `You said ${id}.` })),
    );
    expect(results.map(({ attempt }) => attempt).toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
    expect(pool.snapshot()).toMatchObject({ restarts: 1, active: 0 });
    expect(pool.snapshot().sessions.filter(({ state }) => state === 'dead')).toHaveLength(1);
    expect(await pool.cleanupDeadSessions()).toBe(1);
  });

  test('again and again: the budget is spent, the task fails loudly, the pool goes on', async () => {
    const server = withFault((operations, index) => (index < 3 ? broken(operations) : operations));
    await using pool = await createSessionPool({
      server,
      monitor: bench.monitor,
      maxSessions: 1,
      restartBudget: { maxRestarts: 2, backoffMs: [10] },
    });
    expect(await pool.run({ prompt: 'say x' })).toMatchObject({
      outcome: 'failed',
      attempt: 3,
      error: { code: 'RESTART_BUDGET_SPENT', cause: { code: 'SESSION_ACTOR_FAILED' } },
    });
    expect(await pool.run({ prompt: 'say y' })).toMatchObject({ outcome: 'succeeded', output: 'You said y.' });
  });
});

test('an action that throws inside an actor ends that session alone, and no error reaches the process', async () => {
  const machine = sessionMachine.provide({
    actions: {
      regainStream: () => {
        throw new Error('an action threw');
      },
    },
  });
  await using pool = await createPool(
    { server: bench.server, monitor: bench.monitor, restartBudget: { maxRestarts: 0 } },
    { ...systemPorts, machine },
  );
  const session = await pool.createSession();
  const lent = session.prompt('stream slowly');
  await until(pool, ({ sessions }) => sessions.some(({ path }) => path === 'active.running'));
  // The action runs when the stream is live again.
  bench.monitor.reconnect();
  expect(await lent).toMatchObject({
    outcome: 'interrupted',
    error: { code: 'SESSION_ACTOR_FAILED', cause: { message: 'an action threw' } },
  });
  expect(session.snapshot()).toMatchObject({ state: 'dead', taskId: null });
  expect(await pool.run({ prompt: 'say on' })).toMatchObject({ outcome: 'succeeded', output: 'You said on.' });
  // The lost turn was aborted on the server: nobody would have followed it.
  await expect.poll(async () => (await bench.server.snapshot(bench.workspace.path)).status, { timeout: 5000 }).toEqual({});
});

// The last one: the server is gone then.
test('when the server dies, every task ends as server_lost and the pool says so', async () => {
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor, maxSessions: 2 });
  const running = Array.from({ length: 4 }, () => pool.run({ prompt: 'stream slowly' }));
  await until(pool, ({ sessions }) => sessions.filter(({ path }) => path === 'active.running').length === 2);
  process.kill(bench.server.pid, 'SIGKILL');
  const results = await Promise.all(running);
  expect(results.map(({ outcome, error }) => ({ outcome, code: error?.code }))).toEqual(
    results.map(() => ({ outcome: 'server_lost', code: 'SERVER_EXITED' })),
  );
  expect(pool.snapshot()).toMatchObject({ state: 'failed', queued: 0, active: 0, outcomes: { server_lost: 4 } });
  await expect(pool.run({ prompt: 'go' })).rejects.toMatchObject({ code: 'POOL_STOPPED' });
});
