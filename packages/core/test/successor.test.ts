import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findMarkedProcesses } from '@opencode-manager/core';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';

const slowText = 'word '.repeat(40).trim();

const rules = [
  { when: { user: /^run/, toolResult: /./ }, reply: 'Ran.' },
  {
    when: { user: /^run/ },
    reply: { toolCalls: [{ name: 'bash', arguments: { command: 'setsid sleep 71 & sleep 72', description: 'wait' } }] },
  },
  { name: 'slow', when: { user: /^slowly/ }, reply: { text: slowText, tokensPerSecond: 10 } },
  { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
];

async function sleepsOf(runId: string): Promise<string[]> {
  const marked = await findMarkedProcesses(runId);
  return marked
    .map(({ command }) => command)
    .filter((command) => command.startsWith('sleep'))
    .toSorted();
}

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(rules);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

test('the tools of one session end, those of another go on', async () => {
  const { server } = bench;
  const [one, other] = await Promise.all([server.createSession(), server.createSession()]);
  await Promise.all([one.promptAsync('run'), other.promptAsync('run')]);
  await vi.waitFor(async () => expect(await sleepsOf(server.runId)).toHaveLength(4), { timeout: 20_000, interval: 50 });
  expect(await server.endTools(one.id)).toBeGreaterThanOrEqual(2);
  expect(await sleepsOf(server.runId)).toEqual(['sleep 71', 'sleep 72']);
  expect(await server.endTools(one.id)).toBe(0);
  expect(await other.getState()).toMatchObject({ status: 'busy' });
  expect(await server.endTools(other.id)).toBeGreaterThanOrEqual(2);
  expect(await sleepsOf(server.runId)).toEqual([]);
});

// The last one: it stops them all.
test('a successor works beside a server that finishes its turns, and outlives it with its tools; a stop while the next one starts ends all', async () => {
  const { server: first } = bench;
  const [shared, busy, stuck] = await Promise.all([first.createSession(), first.createSession(), first.createSession()]);
  await shared.prompt('say one');
  const turn = busy.prompt('slowly');
  await bench.model.waitForCalls(1, { rule: 'slow' });
  await stuck.promptAsync('run');
  await vi.waitFor(async () => expect(await sleepsOf(first.runId)).toEqual(['sleep 71', 'sleep 72']), { timeout: 20_000, interval: 50 });

  const second = await first.startSuccessor();
  expect(second).toMatchObject({ runId: first.runId, stateDir: first.stateDir, directory: first.directory });
  expect(second.pid).not.toBe(first.pid);
  expect(second.credentials().password).not.toBe(first.credentials().password);
  expect((await failureOf(first.startSuccessor())).code).toBe('SERVER_EXITED');
  expect((await failureOf(first.relaunch())).code).toBe('SERVER_EXITED');

  const taken = await second.getSession(shared.id);
  expect((await taken.prompt('say two')).text).toBe('You said two.');
  expect((await taken.messages()).filter(({ info }) => info.role === 'user')).toHaveLength(2);
  const own = await second.createSession();
  await own.promptAsync('run');
  await vi.waitFor(async () => expect(await sleepsOf(first.runId)).toHaveLength(4), { timeout: 20_000, interval: 50 });
  expect((await turn).text).toBe(slowText);

  await Promise.all([first.retire(), first.retire()]);
  expect(await first.exited).toMatchObject({ expected: true });
  expect(await sleepsOf(first.runId)).toEqual(['sleep 71', 'sleep 72']);
  expect(await own.getState()).toMatchObject({ status: 'busy' });
  expect(await first.residentBytes()).toBe(0);
  expect(await second.residentBytes()).toBeGreaterThan(100e6);
  const marked = (await findMarkedProcesses(first.runId)).length;
  const third = failureOf(second.startSuccessor());
  await vi.waitFor(async () => expect((await findMarkedProcesses(first.runId)).length).toBeGreaterThan(marked), { timeout: 5000 });
  await first.stop();
  expect((await third).code).toMatch(/REQUEST_ABORTED|SERVER_/);
  expect(await second.exited).toMatchObject({ expected: true });
  expect(await findMarkedProcesses(first.runId)).toEqual([]);
});
