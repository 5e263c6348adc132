import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpencodeServer, SessionOperations } from '@opencode-manager/core';
import { EventMonitor } from '@opencode-manager/events';
import { startFaultProxy } from '@opencode-manager/testing';
import { describe, expect, test } from 'vitest';
import type { PoolEvent, SessionPool, TaskResult } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { until } from '../support/watch.ts';

const slowly = { text: 'word '.repeat(400), tokensPerSecond: 20 };
const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
const quick = [10, 20, 30];

/** So many of these prompts do not come to their end while the test runs; later ones are answered at once. */
const rules = (slowCalls = 1) => [
  { name: 'say', when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
  { name: 'slow', when: { user: /^begin (\S+)/ }, reply: slowly, times: slowCalls },
  { name: 'again', when: { user: /^begin (\S+)/ }, reply: 'You began {{user.1}}.' },
];

function pidOf(pool: SessionPool): number {
  return pool.server.pid;
}

function kill(pool: SessionPool): number {
  const atMs = Date.now();
  process.kill(pidOf(pool), 'SIGKILL');
  return atMs;
}

/** The first event that satisfies a condition from now on. */
function next(pool: SessionPool, holds: (event: PoolEvent) => boolean): Promise<PoolEvent> {
  return new Promise((resolve) => {
    const stop = pool.on('*', (event) => {
      if (!holds(event)) return;
      stop();
      resolve(event);
    });
  });
}

const stateIs = (state: string) => (event: PoolEvent) => event.type === 'pool.changed' && event.state === state;

function callsOf(bench: Bench, prompt: string): number {
  return bench.model.turnCalls.filter(({ user }) => user === prompt).length;
}

const running = (count: number) => (snapshot: ReturnType<SessionPool['snapshot']>) =>
  snapshot.sessions.filter(({ path }) => path === 'active.running').length === count;

test('P2: twenty busy and ten idle sessions survive the death of their server', { timeout: 120_000 }, async () => {
  const startingAtMs = Date.now();
  await using bench = await startBench(rules(20));
  // A machine that needs longer for any start (others work on it too) gets that much longer here as well.
  const startMs = Date.now() - startingAtMs;
  await using pool = await createSessionPool({ server: bench.server, recovery: true, maxSessions: 30 });
  const idle = await Promise.all(Array.from({ length: 10 }, () => pool.createSession()));
  const names = Array.from({ length: 20 }, (_, index) => `t${index}`);
  const busy = names.map((id) => pool.run({ id, prompt: `begin ${id}` }));
  await until(pool, running(20), 30_000);
  await bench.model.waitForCalls(20, { rule: 'slow', timeoutMs: 30_000 });

  const recovering = next(pool, stateIs('recovering'));
  const rested = next(pool, () => pool.snapshot().sessions.every(({ state }) => state !== 'active'));
  const restarted = next(pool, ({ type }) => type === 'server.restarted');
  const killedAtMs = kill(pool);
  expect((await recovering).atMs - killedAtMs).toBeLessThanOrEqual(Math.max(250, startMs / 8));
  expect((await rested).atMs - killedAtMs).toBeLessThanOrEqual(Math.max(500, startMs / 4));
  expect(pool.snapshot().sessions.filter(({ state }) => state === 'idle')).toHaveLength(10);
  const { atMs } = await restarted;
  console.info(`first start ${startMs} ms; server restarted after ${atMs - killedAtMs} ms`);
  expect(atMs - killedAtMs).toBeLessThanOrEqual(Math.max(5000, 2 * startMs));
  const answers = await Promise.all(idle.map((session, index) => session.prompt(`say ${index}`)));
  console.info(`ten idle sessions answered after ${Date.now() - killedAtMs} ms`);
  expect(Math.max(...answers.map(({ queued_ms: queuedMs }) => queuedMs)) + atMs - killedAtMs).toBeLessThanOrEqual(
    Math.max(8000, 3 * startMs),
  );
  expect(answers.map(({ output }) => output)).toEqual(answers.map((_, index) => `You said ${index}.`));

  const results = await Promise.all(busy);
  expect(results).toMatchObject(
    names.map((id) => ({
      id,
      outcome: 'succeeded',
      output: `You began ${id}.`,
      attempt: 2,
      workspace_may_be_half_changed: true,
      attempts: [{ attempt: 1, outcome: 'interrupted' }],
    })),
  );
  for (const { session_id: now, attempts } of results) expect(now).not.toBe(attempts?.[0]?.session_id);
  expect(pool.snapshot()).toMatchObject({ state: 'running', serverRestarts: 1, restarts: 0, active: 0, outcomes: { succeeded: 30 } });
});

/** The real server with a request in between that never leaves, for the session of one task. */
function neverSending(server: OpencodeServer, title: string): OpencodeServer {
  return {
    ...server,
    async createOperations(options) {
      const operations: SessionOperations = await server.createOperations(options);
      return options?.title === title ? { ...operations, submit: () => new Promise<void>(() => {}) } : operations;
    },
  };
}

test('each turn is classified by what it left: finished work is not repeated, and what never started just runs', async () => {
  await using bench = await startBench(rules());
  await using proxy = await startFaultProxy({ target: bench.server.url });
  const credentials = () => ({ ...bench.server.credentials(), url: proxy.url });
  await using monitor = EventMonitor.open({ directory: bench.workspace.path, credentials });
  await monitor.ready();
  const server = neverSending(bench.server, 'unsent');
  await using pool = await createSessionPool({ server, monitor, recovery: true, restartBudget: { backoffMs: quick } });

  // From here on the pool hears nothing: the end of the first turn is seen by nobody.
  proxy.stallStreams();
  const tasks = [
    pool.run({ id: 'finished', prompt: 'say once' }),
    pool.run({ id: 'interrupted', prompt: 'begin again' }),
    pool.run({ id: 'unsent', prompt: 'say later' }),
  ];
  await bench.model.waitForCalls(1, { rule: 'say' });
  await bench.model.waitForCalls(1, { rule: 'slow' });
  await untilAnswered(bench, pool, 'finished');
  await until(pool, ({ sessions }) => sessions.some(({ path }) => path === 'active.submitting'));
  expect(pool.snapshot().active).toBe(3);
  kill(pool);

  const results = await Promise.all(tasks);
  expect(results).toMatchObject([
    { outcome: 'succeeded', output: 'You said once.', attempt: 1, gaps: 1 },
    { outcome: 'succeeded', output: 'You began again.', attempt: 2, attempts: [{ outcome: 'interrupted' }] },
    { outcome: 'succeeded', output: 'You said later.', attempt: 2, attempts: [{ outcome: 'never_started' }] },
  ] satisfies Partial<Record<keyof TaskResult, unknown>>[]);
  expect(results[0]!.attempts).toBeUndefined();
  expect(results[0]!.proof).toMatchObject({ final_message: { source: 'snapshot' }, session_idle: { source: 'snapshot' } });
  expect(results[2]!.workspace_may_be_half_changed).toBeUndefined();
  expect(['say once', 'begin again', 'say later'].map((prompt) => callsOf(bench, prompt))).toEqual([1, 2, 1]);
});

async function untilAnswered(bench: Bench, pool: SessionPool, taskId: string): Promise<void> {
  const { sessionId } = pool.snapshot().sessions.find((session) => session.taskId === taskId)!;
  const finishOf = async () => {
    const messages = await bench.server.operations(sessionId).messages();
    return messages.map(({ info }) => (info.role === 'assistant' ? info.finish : undefined));
  };
  await expect.poll(finishOf, { timeout: 15_000 }).toContain('stop');
}

describe('a turn that broke off', () => {
  test('under interactive too: what it did to files stays, and it runs again in a fresh session', async () => {
    const change = { name: 'change', when: { user: 'change it' }, reply: [bash('echo changed > readme.txt'), slowly], times: 2 };
    await using bench = await startBench([change, { when: { user: 'change it' }, reply: 'Nothing to do.' }], { profile: 'interactive' });
    await using pool = await createSessionPool({ server: bench.server, recovery: true, restartBudget: { backoffMs: quick } });
    const task = pool.run({ prompt: 'change it' });
    await bench.model.waitForCalls(2);
    kill(pool);
    const result = await task;
    expect(result).toMatchObject({
      outcome: 'succeeded',
      output: 'Nothing to do.',
      attempt: 2,
      attempts: [{ attempt: 1, outcome: 'interrupted' }],
      workspace_may_be_half_changed: true,
    });
    expect(result.session_id).not.toBe(result.attempts?.[0]?.session_id);
    expect(readFileSync(join(bench.workspace.path, 'readme.txt'), 'utf8')).toBe('changed\n');
  });

  test("with onInterrupted: 'fail' it ends as interrupted, with what it had said so far", async () => {
    await using bench = await startBench(rules());
    await using pool = await createSessionPool({ server: bench.server, recovery: true, onInterrupted: 'fail' });
    await using monitor = EventMonitor.open(bench.server);
    await monitor.ready();
    const heard = new Promise<void>((resolve) => void monitor.on({ type: 'part.delta' }, () => resolve()));
    const task = pool.run({ prompt: 'begin once' });
    await bench.model.waitForCalls(1, { rule: 'slow' });
    await heard;
    kill(pool);
    expect(await task).toMatchObject({
      outcome: 'interrupted',
      attempt: 1,
      output: expect.stringMatching(/^word/) as string,
      error: { code: 'SERVER_EXITED' },
      workspace_may_be_half_changed: true,
    });
    expect(callsOf(bench, 'begin once')).toBe(1);
    expect(await pool.run({ prompt: 'say on' })).toMatchObject({ outcome: 'succeeded', output: 'You said on.' });
  });
});

describe('a budget that is spent', () => {
  test('a server that dies again and again: the pool fails with the reason, and no task ends in silence', async () => {
    await using bench = await startBench([{ reply: slowly }]);
    await using pool = await createSessionPool({
      server: bench.server,
      recovery: true,
      maxSessions: 2,
      restartBudget: { backoffMs: quick },
    });
    pool.on('server.restarted', () => void kill(pool));
    const tasks = Array.from({ length: 4 }, (_, index) => pool.run({ id: `t${index}`, prompt: 'go' }));
    await until(pool, running(2));
    kill(pool);
    const results = await Promise.all(tasks);
    expect(results.map(({ outcome, error }) => ({ outcome, code: error?.code }))).toEqual(
      results.map(() => ({ outcome: 'server_lost', code: 'RESTART_BUDGET_SPENT' })),
    );
    expect(pool.snapshot()).toMatchObject({
      state: 'failed',
      serverRestarts: 3,
      queued: 0,
      active: 0,
      outcomes: { server_lost: 4 },
      error: { code: 'RESTART_BUDGET_SPENT', cause: { code: 'SERVER_EXITED' }, output: expect.stringContaining('listening') as string },
    });
    await expect(pool.run({ prompt: 'go' })).rejects.toMatchObject({ code: 'POOL_STOPPED' });
  });

  test('a server that cannot start again: three tries, then the tail of its output', async () => {
    await using bench = await startBench([{ reply: slowly }]);
    await using pool = await createSessionPool({
      server: bench.server,
      recovery: true,
      maxSessions: 1,
      restartBudget: { backoffMs: quick },
    });
    const tasks = [pool.run({ prompt: 'go' }), pool.run({ prompt: 'go too' })];
    await until(pool, running(1));
    const died = bench.server.exited;
    kill(pool);
    await died;
    const database = join(bench.server.stateDir, 'data', 'opencode', 'opencode.db');
    expect(existsSync(database)).toBe(true);
    await writeFile(database, 'this is no database');
    expect((await Promise.all(tasks)).map(({ outcome }) => outcome)).toEqual(['server_lost', 'server_lost']);
    expect(pool.snapshot()).toMatchObject({
      state: 'failed',
      serverRestarts: 3,
      error: { code: 'RESTART_BUDGET_SPENT', output: expect.stringContaining('file is not a database') as string },
    });
  });
});

describe('while the server is away', () => {
  test('new tasks wait, a task can be aborted, a new session waits, a lent one is sent nothing unasked; a drain ends when all is done', async () => {
    await using bench = await startBench(rules(3));
    await using pool = await createSessionPool({ server: bench.server, recovery: true, maxSessions: 3 });
    const lent = await pool.createSession();
    const turn = lent.prompt('begin here');
    const aborting = new AbortController();
    const aborted = pool.run({ prompt: 'begin a' }, { signal: aborting.signal });
    const retried = pool.run({ prompt: 'begin b' });
    await bench.model.waitForCalls(3, { rule: 'slow' });
    const recovering = next(pool, stateIs('recovering'));
    kill(pool);
    await recovering;
    const queued = pool.run({ prompt: 'say queued' });
    const session = pool.createSession();
    aborting.abort();
    expect(await aborted).toMatchObject({ outcome: 'aborted', attempt: 1 });
    expect(pool.snapshot().state).toBe('recovering');
    expect(await (await session).prompt('say lent')).toMatchObject({ outcome: 'succeeded' });
    expect(await turn).toMatchObject({ outcome: 'interrupted', session_id: lent.id, workspace_may_be_half_changed: true });
    expect(await lent.prompt('say more')).toMatchObject({ outcome: 'succeeded', output: 'You said more.', session_id: lent.id });
    expect(await lent.isAlive()).toBe(true);
    expect((await lent.messages()).filter(({ info }) => info.role === 'user')).toHaveLength(2);
    const drained = pool.drain();
    expect(await retried).toMatchObject({ outcome: 'succeeded', output: 'You began b.' });
    expect(await queued).toMatchObject({ outcome: 'succeeded', attempt: 1 });
    await drained;
    expect(pool.snapshot()).toMatchObject({ state: 'stopped', active: 0, queued: 0 });
    expect(callsOf(bench, 'begin a')).toBe(1);
  });

  test('a stop ends the recovery, its tasks as aborted, and leaves nothing', async () => {
    await using bench = await startBench(rules());
    const pool = await createSessionPool({
      server: { directory: bench.workspace.path, opencodeConfig: { ...bench.model.opencodeConfig() } },
      maxSessions: 1,
    });
    const tasks = [pool.run({ prompt: 'begin a' }), pool.run({ prompt: 'begin b' })];
    await bench.model.waitForCalls(1, { rule: 'slow' });
    const { stateDir } = pool.server;
    const recovering = next(pool, stateIs('recovering'));
    kill(pool);
    await recovering;
    const startedAtMs = Date.now();
    await pool.stop();
    expect(Date.now() - startedAtMs).toBeLessThan(5000);
    expect((await Promise.all(tasks)).map(({ outcome }) => outcome)).toEqual(['aborted', 'aborted']);
    expect(existsSync(stateDir)).toBe(false);
  });
});
