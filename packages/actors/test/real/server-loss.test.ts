import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpencodeServer, SessionOperations } from '@opencode-manager/core';
import { EventMonitor } from '@opencode-manager/events';
import { startFaultProxy } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PoolEvent, SessionPool, TaskResult } from '../../src/index.ts';
import { startSuccession, type Succession } from '../support/succession.ts';
import { until } from '../support/watch.ts';

const slowly = { text: 'word '.repeat(400), tokensPerSecond: 20 };
const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
const restartBudget = { backoffMs: [10, 20, 30] };

/** So many of these prompts do not come to their end while the test runs; later ones are answered at once. */
const rules = (slowCalls = 1) => [
  { name: 'say', when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
  { name: 'slow', when: { user: /^begin (\S+)/ }, reply: slowly, times: slowCalls },
  { name: 'again', when: { user: /^begin (\S+)/ }, reply: 'You began {{user.1}}.' },
];

function kill(pool: SessionPool): number {
  const atMs = Date.now();
  process.kill(pool.server.pid, 'SIGKILL');
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

const running = (count: number) => (snapshot: ReturnType<SessionPool['snapshot']>) =>
  snapshot.sessions.filter(({ path }) => path === 'active.running').length === count;

let servers: Succession;
beforeAll(async () => {
  servers = await startSuccession();
});
afterAll(() => servers?.[Symbol.asyncDispose]());

test('P2: twenty busy and ten idle sessions survive the death of their server', { timeout: 120_000 }, async () => {
  // A machine that needs longer for any start (others work on it too) gets that much longer here as well.
  const { bench, startMs } = servers;
  await using pool = await servers.openPool(rules(20), { maxSessions: 30 });
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
  const { bench } = servers;
  const server = await servers.current();
  await using proxy = await startFaultProxy({ target: server.url });
  const credentials = () => ({ ...server.credentials(), url: proxy.url });
  await using monitor = EventMonitor.open({ ...server, credentials });
  await monitor.ready();
  await using pool = await servers.openPool(rules(), { server: neverSending(server, 'unsent'), monitor, restartBudget });

  // From here on the pool hears nothing: the end of the first turn is seen by nobody.
  proxy.stallStreams();
  const tasks = [
    pool.run({ id: 'finished', prompt: 'say once' }),
    pool.run({ id: 'interrupted', prompt: 'begin again' }),
    pool.run({ id: 'unsent', prompt: 'say later' }),
  ];
  await bench.model.waitForCalls(1, { rule: 'say' });
  await bench.model.waitForCalls(1, { rule: 'slow' });
  await untilAnswered(pool, 'finished');
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
  const callsOf = (prompt: string) => bench.model.turnCalls.filter(({ user }) => user === prompt).length;
  expect(['say once', 'begin again', 'say later'].map(callsOf)).toEqual([1, 2, 1]);
});

async function untilAnswered(pool: SessionPool, taskId: string): Promise<void> {
  const { sessionId } = pool.snapshot().sessions.find((session) => session.taskId === taskId)!;
  const finishOf = async () => {
    const messages = await pool.server.operations(sessionId).messages();
    return messages.map(({ info }) => (info.role === 'assistant' ? info.finish : undefined));
  };
  await expect.poll(finishOf, { timeout: 15_000 }).toContain('stop');
}

describe('under interactive too', () => {
  let interactive: Succession;
  beforeAll(async () => {
    interactive = await startSuccession({ profile: 'interactive' });
  });
  afterAll(() => interactive?.[Symbol.asyncDispose]());

  test('what a turn that broke off did to files stays, and it runs again in a fresh session', async () => {
    const change = { name: 'change', when: { user: 'change it' }, reply: [bash('echo changed > readme.txt'), slowly], times: 2 };
    const { model, workspace } = interactive.bench;
    await using pool = await interactive.openPool([change, { when: { user: 'change it' }, reply: 'Nothing to do.' }], { restartBudget });
    const task = pool.run({ prompt: 'change it' });
    await model.waitForCalls(2);
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
    expect(readFileSync(join(workspace.path, 'readme.txt'), 'utf8')).toBe('changed\n');
  });

  test('a server that cannot start again: three tries, then the tail of its output', async () => {
    await using pool = await interactive.openPool([{ reply: slowly }], { maxSessions: 1, restartBudget });
    const tasks = [pool.run({ prompt: 'go' }), pool.run({ prompt: 'go too' })];
    await until(pool, running(1));
    const { exited, stateDir } = pool.server;
    kill(pool);
    await exited;
    const database = join(stateDir, 'data', 'opencode', 'opencode.db');
    expect(existsSync(database)).toBe(true);
    await writeFile(database, 'this is no database');
    expect((await Promise.all(tasks)).map(({ outcome }) => outcome)).toEqual(['server_lost', 'server_lost']);
    expect(pool.snapshot()).toMatchObject({
      state: 'failed',
      serverRestarts: 3,
      error: {
        code: 'RESTART_BUDGET_SPENT',
        // Which of the two depends on what the last server had written there.
        output: expect.stringMatching(/file is not a database|database disk image is malformed/) as string,
      },
    });
    await expect(pool.run({ prompt: 'go' })).rejects.toMatchObject({ code: 'POOL_STOPPED' });
  });
});
