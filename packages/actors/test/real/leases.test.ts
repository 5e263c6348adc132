import { existsSync } from 'node:fs';
import { opencodeUnderTest } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SessionPoolOptions } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { until, untilPath } from '../support/watch.ts';

const { by } = opencodeUnderTest();

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([
    { when: { user: /say (\S+)/ }, reply: 'You said {{user.1}}.' },
    { when: { user: 'stream slowly' }, reply: { text: 'word '.repeat(400), tokensPerSecond: 20 } },
    { when: { user: 'be silent' }, reply: '' },
  ]);
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const openPool = (options: SessionPoolOptions = {}) => createSessionPool({ server: bench.server, monitor: bench.monitor, ...options });

describe('a leased session', () => {
  test('that is deleted in the midst of a turn aborts it first', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    const running = session.prompt('stream slowly');
    const waiting = session.prompt('say two');
    await untilPath(pool, 'active.running');
    await session.delete();
    expect([(await running).outcome, (await waiting).outcome]).toEqual(['aborted', 'aborted']);
    await expect(bench.server.getSession(session.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('keeps a deadline while a prompt waits in its queue', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    const running = session.prompt('stream slowly');
    const late = await session.prompt('say late', { timeoutMs: 300 });
    expect(late).toMatchObject({ outcome: 'timed_out', attempt: 0, error: { code: 'TURN_TIMEOUT' } });
    await session.abort();
    expect((await running).outcome).toBe('aborted');
  });

  test('is given back when what was asked of it is done', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    const first = session.prompt('say first');
    const second = session.prompt('say second');
    session.release();
    expect(pool.getIdleSession()).toBeUndefined();
    expect([(await first).output, (await second).output]).toEqual(['You said first.', 'You said second.']);
    expect(pool.getIdleSession()?.id).toBe(session.id);
  });

  test('takes a model, an agent, a system text and files for one prompt, and can be forked', async () => {
    bench.model.reset();
    await using pool = await openPool();
    const session = await pool.createSession();
    const choices = { model: 'scripted/model', agent: 'plan', system: 'Be brief.', files: [{ path: 'readme.txt' }] };
    expect(await session.prompt('say it', choices)).toMatchObject({ outcome: 'succeeded', model: 'scripted/model' });
    const [{ info, parts } = {}] = await session.messages();
    expect(info).toMatchObject({ role: 'user', ...by({ v1: { agent: 'plan', raw: { system: 'Be brief.' } }, v2: {} }) });
    expect((await session.messages()).find((message) => message.info.role === 'assistant')?.info).toMatchObject({ agent: 'plan' });
    expect(bench.model.turnCalls[0]?.system).toContain('Be brief.');
    expect(parts?.map(({ type }) => type)).toContain('file');
    const fork = await session.fork();
    expect(fork.id).not.toBe(session.id);
    expect((await fork.messages()).length).toBeGreaterThanOrEqual(2);
    expect(await fork.prompt('say forked')).toMatchObject({ outcome: 'succeeded', session_id: fork.id });
    expect((await session.getState()).queued).toBe(0);
  });
});

const unreadableImage = by({
  v1: { code: 'TURN_FAILED', message: 'ImageDecodeError: Image could not be decoded' },
  v2: { code: 'PROMPT_INVALID', message: expect.stringMatching(/^files: opencode cannot read /) as string },
});

test('an image that opencode cannot read fails the task at once, with the reason', async () => {
  await using pool = await openPool();
  const result = await pool.run({ prompt: 'say x', files: [{ url: 'data:image/png;base64,AAAA' }] });
  expect(result).toMatchObject({
    outcome: 'failed',
    error: unreadableImage,
  });
  expect(pool.snapshot().sessions.map(({ path }) => path)).toEqual(['error']);
});

test('so does one in a later turn of a leased session, and the turn after it goes on', async () => {
  await using pool = await openPool();
  const session = await pool.createSession();
  await session.prompt('say one');
  const startedAtMs = performance.now();
  expect(await session.prompt('say x', { files: [{ url: 'data:image/png;base64,AAAA' }] })).toMatchObject({
    outcome: 'failed',
    error: unreadableImage,
  });
  expect(performance.now() - startedAtMs).toBeLessThan(8000);
  expect(await session.prompt('say x', { files: [{ path: 'missing.png' }] })).toMatchObject({
    outcome: 'failed',
    error: { code: by({ v1: 'TURN_FAILED', v2: 'PROMPT_INVALID' }), message: expect.stringContaining('missing.png') as string },
  });
  expect(await session.prompt('say two')).toMatchObject({ outcome: 'succeeded', output: 'You said two.' });
});

test('an empty answer is an answer where a task says so', async () => {
  await using pool = await openPool();
  expect(await pool.run({ prompt: 'be silent' })).toMatchObject({ outcome: 'failed', error: { code: 'ANSWER_EMPTY' } });
  expect(await pool.run({ prompt: 'be silent', emptyAnswer: 'allow' })).toMatchObject({ outcome: 'succeeded', output: '', error: null });
});

test.each([
  [{ maxSession: 3 }, 'CONFIG_KEY_UNKNOWN', 'maxSessions'],
  [{ health: { interval: 3 } }, 'CONFIG_KEY_UNKNOWN', 'health.intervalMs'],
  [{ permissions: null }, 'CONFIG_INVALID', 'permissions'],
  [{ permissions: 'alow' }, 'CONFIG_INVALID', 'permissions'],
  [{ permissions: [{ permission: 'bash' }] }, 'CONFIG_INVALID', 'permissions'],
  [{ sessions: 'old' }, 'CONFIG_INVALID', 'sessions'],
])('options that cannot be are refused: %j', async (options, code, named) => {
  await expect(openPool(options as never)).rejects.toMatchObject({ code, message: expect.stringContaining(named) as string });
});

test('a pool stops the server that it launched, here one without a usable provider: a prompt is refused before it is sent, a shell line runs; the stopped one is refused at once', async () => {
  await using pool = await createSessionPool({
    server: {
      directory: bench.workspace.path,
      opencodeConfig: { ...bench.model.opencodeConfig(), enabled_providers: ['nobody'] },
    },
  });
  const { server } = pool;
  expect(await pool.run({ prompt: 'say it' })).toMatchObject({ outcome: 'failed', session_id: null, error: { code: 'MODEL_UNKNOWN' } });
  expect(await pool.run({ shell: 'echo shell' })).toMatchObject({ outcome: 'succeeded', output: 'shell\n' });
  await pool.stop();
  expect(() => process.kill(server.pid, 0)).toThrow('ESRCH');
  expect(existsSync(server.stateDir)).toBe(false);
  const atMs = performance.now();
  await expect(createSessionPool({ server })).rejects.toMatchObject({ code: 'SERVER_EXITED' });
  expect(performance.now() - atMs).toBeLessThan(5000);
});

test('a source that waits does not hold back the end of a batch when the pool stops', async () => {
  const pool = await openPool();
  async function* tasks() {
    yield { prompt: 'say one' };
    await new Promise<never>(() => {});
  }
  const results = pool.runAll(tasks());
  expect((await results.next()).value).toMatchObject({ outcome: 'succeeded' });
  const next = results.next();
  await until(pool, ({ active }) => active === 0);
  await pool.stop();
  expect((await next).done).toBe(true);
});
