import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PoolEvent, SessionPool, SessionPoolOptions, Task, TaskResult } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { seededRandom } from '../support/random.ts';
import { until, untilPath } from '../support/watch.ts';

const subtask = { name: 'task', arguments: { description: 'sub', prompt: 'work for the parent', subagent_type: 'general' } };

const crowd = 25;

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([
    // All are in flight at once when the first answer takes longer than the server needs to begin the last: 10 a second is slow.
    { when: { user: /^number (\d+)$/ }, reply: { text: 'You said {{user.1}}.', delayMs: 1000 + 100 * crowd } },
    { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
    { when: { user: 'stream slowly' }, reply: { text: 'word '.repeat(400), tokensPerSecond: 20 } },
    {
      when: { user: 'work for the parent' },
      reply: { text: 'word '.repeat(20), tokensPerSecond: 20, usage: { inputTokens: 100, outputTokens: 20 } },
    },
    {
      when: { user: 'delegate' },
      reply: [
        { toolCalls: [subtask], usage: { inputTokens: 10, outputTokens: 5 } },
        { text: 'Both done.', usage: { inputTokens: 20, outputTokens: 2 } },
      ],
    },
    { when: { user: 'remember' }, reply: { text: 'word '.repeat(30), tokensPerSecond: 20 } },
  ]);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const openPool = (options: SessionPoolOptions = {}): Promise<SessionPool> =>
  createSessionPool({ server: bench.server, monitor: bench.monitor, ...options });

/** Ids of tasks in the order in which they started. */
function recordStarts(pool: SessionPool): string[] {
  const started: string[] = [];
  pool.on('task.started', ({ taskId }) => started.push(taskId));
  return started;
}

async function collect(results: AsyncIterable<TaskResult>): Promise<TaskResult[]> {
  const collected: TaskResult[] = [];
  for await (const result of results) collected.push(result);
  return collected;
}

describe('order', () => {
  test('with one slot, priorities come first and groups take turns', async () => {
    await using pool = await openPool({ maxSessions: 1, sessions: 'reuse' });
    const started = recordStarts(pool);
    const tasks: Task[] = [
      { id: 'first', prompt: 'say first' },
      { id: 'a1', prompt: 'say a1', group: 'a' },
      { id: 'a2', prompt: 'say a2', group: 'a' },
      { id: 'b1', prompt: 'say b1', group: 'b' },
      { id: 'urgent', prompt: 'say urgent', priority: 5 },
      { id: 'late', prompt: 'say late', priority: -1 },
    ];
    const results = await Promise.all(tasks.map((task) => pool.run(task)));
    expect(started).toEqual(['first', 'urgent', 'a1', 'b1', 'a2', 'late']);
    expect(results.map(({ output }) => output)).toEqual(tasks.map(({ id }) => `You said ${id}.`));
    // One session served them all.
    expect(new Set(results.map(({ session_id }) => session_id)).size).toBe(1);
  });

  test('prompts to three sessions in 15 random interleavings are each answered in order, with their own reply', async () => {
    await using pool = await openPool({ maxSessions: 3 });
    const random = seededRandom(42);
    const sessions = await Promise.all([0, 1, 2].map((index) => pool.createSession(`lane ${index}`)));
    const order: string[][] = [[], [], []];
    const asked: string[][] = [[], [], []];
    const answers = Array.from({ length: 15 }, async (_, turn) => {
      const lane = random.below(3);
      asked[lane]!.push(`${lane}-${turn}`);
      const result = await sessions[lane]!.prompt(`say ${lane}-${turn}`);
      expect(result).toMatchObject({ outcome: 'succeeded', output: `You said ${lane}-${turn}.` });
      order[lane]!.push(`${lane}-${turn}`);
    });
    await Promise.all(answers);
    expect(order).toEqual(asked);
    const history = await sessions[0]!.messages();
    expect(history.map(({ info }) => info.role)).toEqual(asked[0]!.flatMap(() => ['user', 'assistant']));
  });
});

describe('runAll', () => {
  test('yields in the order of completion and takes tasks only as slots come free', async () => {
    await using pool = await openPool({ maxSessions: 2 });
    let taken = 0;
    let finished = 0;
    let mostAhead = 0;
    pool.on('task.finished', () => (finished += 1));
    function* tasks(): Generator<Task> {
      for (let index = 0; index < 8; index += 1) {
        taken += 1;
        mostAhead = Math.max(mostAhead, taken - finished);
        yield { id: `n${index}`, prompt: `say ${index}` };
      }
    }
    const completed: string[] = [];
    pool.on('task.finished', ({ result }) => completed.push(result.id));
    const results = await collect(pool.runAll(tasks()));
    expect(results.map(({ id }) => id)).toEqual(completed);
    expect(results.map(({ id }) => id).toSorted()).toEqual(['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7']);
    expect(mostAhead).toBeLessThanOrEqual(2);
  });

  test('leaving the loop aborts what is in flight', async () => {
    await using pool = await openPool({ maxSessions: 2 });
    const outcomes: string[] = [];
    pool.on('task.finished', ({ result }) => outcomes.push(result.outcome));
    for await (const result of pool.runAll([{ prompt: 'say one' }, { prompt: 'stream slowly' }, { prompt: 'stream slowly' }])) {
      expect(result.output).toBe('You said one.');
      break;
    }
    expect(outcomes.slice(1)).toEqual(outcomes.slice(1).map(() => 'aborted'));
    expect(pool.snapshot()).toMatchObject({ queued: 0, active: 0 });
  });

  test('a task that cannot be run ends the iteration with its error', async () => {
    await using pool = await openPool();
    await expect(collect(pool.runAll([{ prompt: 'say one' }, { prompt: '' }]))).rejects.toMatchObject({ code: 'TASK_INVALID' });
  });
});

describe('the life of a pool', () => {
  test('one that may not start servers refuses to replace one', async () => {
    await expect(openPool({ serverMemory: { maxBytes: 1 } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('serverMemory') as string,
    });
    await using pool = await openPool();
    await expect(pool.rotateServer()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('refuses tasks that it cannot run, and says why', async () => {
    await using pool = await openPool();
    await expect(pool.run({})).rejects.toMatchObject({ code: 'TASK_INVALID', message: expect.stringContaining('exactly one of') });
    await expect(pool.run({ prompt: 'x', timeout: 5 } as Task)).rejects.toMatchObject({
      code: 'TASK_INVALID',
      message: expect.stringContaining('timeout'),
    });
    await pool.run({ id: 'twice', prompt: 'say x' });
    await expect(pool.run({ id: 'twice', prompt: 'say x' })).rejects.toMatchObject({ code: 'TASK_DUPLICATE' });
  });

  test('draining finishes what was queued and takes nothing new', async () => {
    await using pool = await openPool({ maxSessions: 1 });
    const running = ['a', 'b', 'c'].map((id) => pool.run({ id, prompt: `say ${id}` }));
    const drained = pool.drain();
    await expect(pool.run({ prompt: 'say late' })).rejects.toMatchObject({ code: 'POOL_STOPPED' });
    await drained;
    expect((await Promise.all(running)).map(({ outcome }) => outcome)).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect(pool.snapshot()).toMatchObject({ state: 'stopped', finished: 3 });
  });

  test('stopping ends what is in flight and what waits as aborted, on the server too', async () => {
    const pool = await openPool({ maxSessions: 2 });
    const running = Array.from({ length: 5 }, () => pool.run({ prompt: 'stream slowly' }));
    await until(pool, ({ sessions }) => sessions.filter(({ path }) => path === 'active.running').length === 2);
    await pool.stop();
    const results = await Promise.all(running);
    expect(results.map(({ outcome, attempt }) => ({ outcome, attempt }))).toEqual(
      [1, 1, 0, 0, 0].map((attempt) => ({ outcome: 'aborted', attempt })),
    );
    expect((await bench.server.snapshot(bench.workspace.path)).status).toEqual({});
    await expect(pool.run({ prompt: 'say x' })).rejects.toMatchObject({ code: 'POOL_STOPPED' });
    await pool.stop();
  });

  test('events tell the whole story, numbered without a hole', async () => {
    await using pool = await openPool();
    const events: PoolEvent[] = [];
    pool.on('*', (event) => events.push(event));
    await pool.run({ id: 'told', prompt: 'say x' });
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => events[0]!.sequence + index));
    const told = events.map((event) => (event.type === 'session.changed' ? event.session.path : event.type));
    // When the answer is read as the session becomes idle, nothing has to settle. Steps, and what providers allow, are told between.
    expect(told.filter((path) => !['active.settling', 'task.spent', 'provider.changed'].includes(path))).toEqual([
      'task.queued',
      'active.submitting',
      'task.started',
      'active.running',
      'idle',
      'task.finished',
    ]);
    expect(events.findLast((event) => event.type === 'task.spent')).toMatchObject({ taskId: 'told', steps: 1 });
  });
});

test(`${crowd} sessions at once each get their own answer`, async () => {
  bench.model.reset();
  await using pool = await openPool({ maxSessions: crowd });
  const numbers = Array.from({ length: crowd }, (_, index) => index);
  const results = await Promise.all(numbers.map((number) => pool.run({ id: `n${number}`, prompt: `number ${number}` })));
  expect(results.map(({ id, outcome, output }) => ({ id, outcome, output }))).toEqual(
    numbers.map((number) => ({ id: `n${number}`, outcome: 'succeeded', output: `You said ${number}.` })),
  );
  expect(bench.model.maxInFlight).toBeGreaterThanOrEqual(crowd);
  expect(new Set(results.map(({ session_id }) => session_id)).size).toBe(crowd);
});

describe('lent sessions', () => {
  test('are handed out while idle, and only to one caller', async () => {
    await using pool = await openPool();
    expect(pool.getIdleSession()).toBeUndefined();
    const { session_id } = await pool.run({ prompt: 'say x' });
    const session = pool.getIdleSession();
    expect(session?.id).toBe(session_id);
    expect(pool.getIdleSession()).toBeUndefined();
    expect(await session!.prompt('say again')).toMatchObject({ outcome: 'succeeded', session_id });
    expect(session!.snapshot()).toMatchObject({ state: 'idle', turns: 2 });
    session!.release();
    await expect(session!.prompt('say more')).rejects.toMatchObject({ code: 'SESSION_BUSY' });
    // Its turns are somebody else's now.
    await expect(session!.abort()).rejects.toMatchObject({ code: 'SESSION_BUSY' });
    await expect(session!.rename('mine')).rejects.toMatchObject({ code: 'SESSION_BUSY' });
    expect(pool.getIdleSession()?.id).toBe(session_id);
  });

  test('an abort is confirmed when it resolves, and the session takes the next turn', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    const running = session.prompt('stream slowly');
    await untilPath(pool, 'active.running');
    await session.abort();
    expect((await running).outcome).toBe('aborted');
    expect((await session.prompt('say next')).output).toBe('You said next.');
    expect((await session.executeShell('echo shell')).output).toBe('shell\n');
  });

  test('deleted ones are dead, and cleanup forgets them', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    await bench.server.deleteSession(session.id);
    await until(pool, ({ sessions }) => sessions.some(({ state }) => state === 'dead'));
    expect(await session.isAlive()).toBe(false);
    expect(await pool.cleanupDeadSessions()).toBe(1);
    expect(pool.snapshot().sessions).toEqual([]);
    const other = await pool.createSession();
    await other.delete();
    await expect(bench.server.getSession(other.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

test('a gap of the stream in mid-turn is closed by a read: the result is right, and the gap counted', async () => {
  await using pool = await openPool();
  const running = pool.run({ prompt: 'remember' });
  await untilPath(pool, 'active.running');
  await bench.model.waitForCalls(1);
  pool.monitor.reconnect();
  const result = await running;
  expect(result).toMatchObject({ outcome: 'succeeded', output: 'word '.repeat(30), gaps: 1 });
  expect(pool.snapshot().gaps).toBe(1);
});

test('a gap while a sub-agent works loses none of its tokens', async () => {
  await using pool = await openPool();
  const running = pool.run({ prompt: 'delegate' });
  await untilPath(pool, 'active.waitingOnChildren');
  bench.monitor.reconnect();
  const { input_tokens, output_tokens } = (await running).usage;
  expect(await running).toMatchObject({ outcome: 'succeeded', output: 'Both done.', tool_calls: 1, model_calls: 3, gaps: 1 });
  expect({ input_tokens, output_tokens }).toEqual({ input_tokens: 130, output_tokens: 27 });
});
