import type { OpencodeServer, SessionOperations } from '@opencode-manager/core';
import { findMarkedProcesses, memoryBudget, readMemoryLimit } from '@opencode-manager/core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { PoolEvent, SessionPool, SessionPoolOptions } from '../../src/index.ts';
import type { ServerContext } from '../../src/machines/index.ts';
import { createSessionPool } from '../support/pool.ts';
import { startSuccession, type Succession } from '../support/succession.ts';
import { until } from '../support/watch.ts';

const rules = [
  { when: { user: /^ask (\S+)/, toolResult: /./ }, reply: 'You asked {{user.1}}.' },
  { name: 'ask', when: { user: /^ask/ }, reply: { toolCalls: [{ name: 'bash', arguments: { command: 'true', description: 'ask' } }] } },
  { name: 'say', when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
  // A tool that was ended is no end of its turn.
  { when: { user: /^run/, toolResult: /./ }, reply: { text: 'word '.repeat(400), tokensPerSecond: 4 } },
  {
    when: { user: /^run/ },
    reply: { toolCalls: [{ name: 'bash', arguments: { command: 'setsid sleep 81 & sleep 82', description: 'wait' } }] },
  },
];

let servers: Succession;
beforeAll(async () => {
  servers = await startSuccession({ opencodeConfig: { permission: { bash: 'ask' } } });
});
afterAll(() => servers?.[Symbol.asyncDispose]());

/** A policy that answers when the test says so: until then the turn is in flight. */
function heldPolicy() {
  const opened = Promise.withResolvers<void>();
  return { open: () => opened.resolve(), policy: () => opened.promise.then(() => ({ action: 'allow' as const })) };
}

/** What a pool tells of its servers. */
function serverEvents(pool: SessionPool): { readonly types: string[]; readonly next: (type: PoolEvent['type']) => Promise<void> } {
  const types: string[] = [];
  pool.on('*', ({ type }) => {
    if (type.startsWith('server.')) types.push(type);
  });
  return {
    types,
    next: (type) => vi.waitFor(() => expect(types).toContain(type), { timeout: 60_000, interval: 20 }),
  };
}

const exists = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const awaiting = (count: number) => (snapshot: ReturnType<SessionPool['snapshot']>) =>
  snapshot.sessions.filter(({ path }) => path === 'active.awaitingInput').length === count;

test('a server that has grown too large is replaced: it finishes its turns, new ones run on the next', async () => {
  const gate = heldPolicy();
  await using pool = await servers.openPool(rules, {
    permissions: gate.policy,
    // Every server is larger than this; the age keeps the next one in peace while the old one still has a turn.
    serverMemory: { maxBytes: 50e6, checkMs: 100, minAgeMs: 2000 },
  });
  const events = serverEvents(pool);
  const held = { rssBytes: 0, maxBytes: 0, forMs: 0 };
  pool.on('server.memory_held', ({ rssBytes, maxBytes, untilMs, atMs }) =>
    Object.assign(held, { rssBytes, maxBytes, forMs: Math.round((untilMs - atMs) / 1000) * 1000 }),
  );
  const idle: string[] = [];
  pool.events.on({ type: 'session.idle' }, ({ sessionId = '' }) => idle.push(sessionId));
  const lent = await pool.createSession();
  expect(await lent.prompt('say one')).toMatchObject({ output: 'You said one.' });
  const long = pool.run({ id: 'long', prompt: 'ask late' });
  await until(pool, awaiting(1), 30_000);
  const [oldPid, oldUrl] = [pool.server.pid, pool.server.url];

  await events.next('server.rotated');
  expect(pool.server.pid).not.toBe(oldPid);
  expect(pool.snapshot()).toMatchObject({ server: { generation: 2, rotations: 1, retiring: [1] }, active: 1, serverRestarts: 0 });
  const fresh = await pool.run({ id: 'new', prompt: 'say two' });
  expect(fresh).toMatchObject({ outcome: 'succeeded', output: 'You said two.', attempt: 1 });
  expect(await lent.prompt('say three')).toMatchObject({ outcome: 'succeeded', output: 'You said three.' });
  expect((await lent.messages()).filter(({ info }) => info.role === 'user')).toHaveLength(2);

  expect(exists(oldPid)).toBe(true);
  gate.open();
  const late = await long;
  expect(late).toMatchObject({ outcome: 'succeeded', attempt: 1, output: 'You asked late.' });
  expect(idle).toEqual(expect.arrayContaining([lent.id, fresh.session_id, late.session_id]));
  await events.next('server.retired');
  expect(exists(oldPid)).toBe(false);
  expect(pool.server.url).not.toBe(oldUrl);
  expect(servers.bench.model.turnCalls.filter(({ rule }) => rule === 'ask')).toHaveLength(1);
  // Nor is the next one any smaller: that is told once, and nothing is started for it.
  await events.next('server.memory_held');
  expect(held).toEqual({ ...held, maxBytes: 50e6, forMs: 600_000 });
  expect(held.rssBytes).toBeGreaterThan(100e6);
  await pool.run({ prompt: 'say four' });
  await until(pool, ({ server: { rssBytes } }) => rssBytes !== null && rssBytes !== held.rssBytes, 10_000);
  expect(pool.snapshot().server).toMatchObject({ state: 'ready', generation: 2 });
  expect(events.types.toSorted()).toEqual(['server.memory_held', 'server.retired', 'server.rotated', 'server.rotating']);
});

test('the limit is on by default, by what the machine has; who may not start servers has none', async () => {
  const server = await servers.current();
  const memory: unknown[] = [];
  const steps: SessionPoolOptions = {
    inspect: ({ machine, context }) => void (machine === 'server' && memory.push((context as ServerContext).memory)),
  };
  const budget = memoryBudget(await readMemoryLimit());
  await (await createSessionPool({ ...steps, server, recovery: true })).stop();
  expect(memory.splice(0)[0]).toEqual({ ...budget, minAgeMs: 30_000 });
  await (await createSessionPool({ ...steps, server, recovery: true, serverMemory: { minAgeMs: 5 } })).stop();
  expect(memory.splice(0)[0]).toEqual({ ...budget, minAgeMs: 5 });
  await (await createSessionPool({ ...steps, server, recovery: true, serverMemory: false })).stop();
  await (await createSessionPool({ ...steps, server })).stop();
  expect(new Set(memory)).toEqual(new Set([null]));
});

/** The real server, to which the aborts of one session are never sent. */
function deafToAborts(server: OpencodeServer, title: string): OpencodeServer {
  const deaf = (operations: SessionOperations): SessionOperations => ({ ...operations, abort: () => new Promise<never>(() => {}) });
  return {
    ...server,
    async createOperations(options) {
      const operations = await server.createOperations(options);
      return options?.title === title ? deaf(operations) : operations;
    },
  };
}

test('an abort that nothing confirms takes the processes of the tools, then the session, then the server', async () => {
  const server = deafToAborts(await servers.current(), 'deaf');
  const gate = heldPolicy();
  await using pool = await servers.openPool(rules, {
    server,
    abortTimeoutMs: 1000,
    permissions: ({ taskId }) => (taskId === 'neighbour' ? gate.policy() : { action: 'allow' }),
  });
  const events = serverEvents(pool);
  const sleeps = async () => (await findMarkedProcesses(server.runId)).filter(({ command }) => command.startsWith('sleep')).length;

  const neighbour = pool.run({ id: 'neighbour', prompt: 'ask beside' });
  const caller = new AbortController();
  const tool = pool.run({ id: 'deaf', prompt: 'run it' }, { signal: caller.signal });
  await vi.waitFor(async () => expect(await sleeps()).toBe(2), { timeout: 20_000, interval: 50 });
  await until(pool, awaiting(1), 30_000);
  caller.abort();
  const { session_id: stuck, outcome } = await tool;
  expect(outcome).toBe('aborted');
  expect(await sleeps()).toBe(0);
  expect(pool.snapshot().sessions.find(({ sessionId }) => sessionId === stuck)).toMatchObject({ state: 'dead' });
  await events.next('server.rotated');
  expect(exists(server.pid)).toBe(true);
  gate.open();
  expect(await neighbour).toMatchObject({ outcome: 'succeeded', attempt: 1, output: 'You asked beside.' });
  await events.next('server.retired');
  expect(exists(server.pid)).toBe(false);
  expect(await pool.run({ prompt: 'say on' })).toMatchObject({ output: 'You said on.' });
});
