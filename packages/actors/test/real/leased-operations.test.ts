import { opencodeUnderTest } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CallOptions } from '@opencode-manager/core';
import { isManagerError, type OpencodeManagerError } from '@opencode-manager/core/errors';
import type { PooledSession, SessionPoolOptions } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { untilPath } from '../support/watch.ts';

const { by } = opencodeUnderTest();

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(
    [
      { when: { purpose: 'summary', history: /decline it/ }, reply: { error: { status: 400, message: 'no summaries here' } } },
      { when: { purpose: 'summary', history: /dawdle/ }, reply: { text: 'word '.repeat(400), tokensPerSecond: 5 } },
      {
        when: { user: /^stubborn/ },
        reply: { toolCalls: [{ name: 'bash', arguments: { command: "trap '' TERM; sleep 20", description: 'ignores it' } }] },
      },
      { when: { user: /stream slowly/ }, reply: { text: 'word '.repeat(400), tokensPerSecond: 20 } },
      { when: { user: /./ }, reply: 'Said.' },
    ],
    { profile: 'interactive', opencodeConfig: { command: { misspelt: { template: 'say $1', model: 'scripted/modle' } } } },
  );
});
afterAll(() => bench?.[Symbol.asyncDispose]());

const openPool = (options: SessionPoolOptions = {}) => createSessionPool({ server: bench.server, monitor: bench.monitor, ...options });

async function failureOf(work: Promise<unknown>): Promise<OpencodeManagerError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (isManagerError(error)) return error;
  throw new Error(`expected a rejection with one of our errors, received ${String(error)}`);
}

async function timed(work: Promise<unknown>) {
  const startedAtMs = performance.now();
  const error = await failureOf(work);
  return { error, tookMs: performance.now() - startedAtMs };
}

/** Begins a summary that the model is long over. */
async function beginSummary(session: PooledSession, options?: CallOptions) {
  const summaries = () => bench.model.calls.filter(({ purpose }) => purpose === 'summary').length;
  const before = summaries();
  const over = timed(session.summarize('scripted/model', options));
  await vi.waitFor(() => expect(summaries()).toBeGreaterThan(before), { timeout: 15_000, interval: 20 });
  return over;
}

describe('a summary of a leased session', () => {
  test('that the model refuses is rejected with its reason, and leaves nothing for the next turn', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    await session.prompt('decline it');
    const error = await failureOf(session.summarize('scripted/model'));
    expect([error.code, error.message]).toEqual([
      'TURN_FAILED',
      `The summary failed with ${by({ v1: 'APIError', v2: 'provider.invalid-request' })}: no summaries here`,
    ]);
    expect(await failureOf(session.summarize('scripted/modle'))).toMatchObject({ code: 'MODEL_UNKNOWN' });
    expect(await session.prompt('and then')).toMatchObject({ outcome: 'succeeded', output: 'Said.' });
  });

  test('ends with its deadline and its signal; the turn behind it comes when the session is idle', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    await session.prompt('dawdle');
    const late = timed(session.summarize('scripted/model', { timeoutMs: 900 }));
    const behind = session.prompt('and then', { timeoutMs: 20_000 });
    expect((await late).error.code).toBe('REQUEST_TIMEOUT');
    expect((await late).tookMs).toBeLessThan(2500);
    expect(await behind).toMatchObject({ outcome: 'succeeded', output: 'Said.' });
    const caller = new AbortController();
    setTimeout(() => caller.abort(), 900);
    expect((await beginSummary(session, { signal: caller.signal })).error.code).toBe('REQUEST_ABORTED');
    await pool.drain();
    expect((await bench.server.getSession(session.id).then((one) => one.getState())).status).toBe('idle');
  });

  test('ends with the stop of its pool', async () => {
    const pool = await openPool();
    const session = await pool.createSession();
    await session.prompt('dawdle');
    const summary = timed(session.summarize('scripted/model'));
    await vi.waitFor(async () => expect((await session.getState()).status).toBe('busy'), { timeout: 15_000, interval: 20 });
    const stoppedAtMs = performance.now();
    await pool.stop();
    expect(performance.now() - stoppedAtMs).toBeLessThan(8000);
    expect((await summary).error.code).toBe('POOL_STOPPED');
    expect((await bench.server.snapshot()).status[session.id]).toBeUndefined();
  });
});

describe('a deadline and a signal of a leased session', () => {
  test.each([
    ['summarize', (session, options) => session.summarize('scripted/model', options)],
    ['revertMessage', (session, options) => session.revertMessage('msg_x', options)],
    ['unrevert', (session, options) => session.unrevert(options)],
  ] as readonly (readonly [string, (session: PooledSession, options: CallOptions) => Promise<unknown>])[])(
    'count the wait of %s for a turn in flight, and end it',
    async (_, operation) => {
      await using pool = await openPool();
      const session = await pool.createSession();
      const turn = session.prompt('stream slowly');
      await untilPath(pool, 'active.running');
      const caller = new AbortController();
      const aborted = failureOf(operation(session, { signal: caller.signal }));
      const { error, tookMs } = await timed(operation(session, { timeoutMs: 200 }));
      expect([error.code, error.message]).toEqual(['REQUEST_TIMEOUT', expect.stringContaining('nothing was changed')]);
      expect(tookMs).toBeLessThan(1500);
      caller.abort();
      expect((await aborted).code).toBe('REQUEST_ABORTED');
      expect((await failureOf(operation(session, { signal: caller.signal }))).code).toBe('REQUEST_ABORTED');
      await session.abort();
      expect((await turn).outcome).toBe('aborted');
    },
  );

  test('end abort and delete, whose turn takes its time to end', async () => {
    await using pool = await openPool({ permissions: 'allow' });
    const session = await pool.createSession();
    const turn = session.prompt('stubborn');
    await vi.waitFor(async () => expect(JSON.stringify(await session.messages())).toContain('"status":"running"'), { timeout: 15_000 });
    // opencode 2 kills at once what ignores SIGTERM: there, only a server that stands still makes an abort last.
    const standsStill = by({ v1: false, v2: true });
    if (standsStill) process.kill(bench.server.pid, 'SIGSTOP');
    const abort = await timed(session.abort({ timeoutMs: 100 }));
    const deletion = await timed(session.delete({ signal: AbortSignal.timeout(100) }));
    if (standsStill) process.kill(bench.server.pid, 'SIGCONT');
    expect([abort.error.code, deletion.error.code]).toEqual(['REQUEST_TIMEOUT', 'REQUEST_ABORTED']);
    expect(Math.max(abort.tookMs, deletion.tookMs)).toBeLessThan(1500);
    expect((await turn).outcome).toBe('aborted');
    await session.delete();
    await expect(bench.server.getSession(session.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await session.delete();
  });
});

test('a session whose deletion failed can be given back', async () => {
  await using pool = await openPool();
  const session = await pool.createSession();
  expect((await failureOf(session.delete({ timeoutMs: 0 }))).code).toBe('REQUEST_TIMEOUT');
  const { code, message } = await failureOf(session.prompt('it'));
  expect([code, message]).toEqual(['SESSION_BUSY', expect.stringContaining('Delete it again or release it')]);
  session.release();
  const again = pool.getIdleSession({ id: session.id });
  expect(await again?.prompt('say it')).toMatchObject({ outcome: 'succeeded', output: 'Said.' });
  await again?.delete();
  await session.delete().catch(({ code: refused }) => expect(refused).toBe('SESSION_BUSY'));
});

describe('what a leased session refuses, and what not', () => {
  test('a deletion once it is given back', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    session.release();
    expect((await failureOf(session.delete())).code).toBe('SESSION_BUSY');
    expect(await session.isAlive()).toBe(true);
    expect(pool.getIdleSession({ id: session.id })?.id).toBe(session.id);
  });

  test('a fork up to a message that it does not have', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    await session.prompt('say it');
    const before = (await bench.server.listSessions()).length;
    expect((await failureOf(session.fork('msg_unknown'))).code).toBe('MESSAGE_UNKNOWN');
    expect((await bench.server.listSessions()).length).toBe(before);
  });

  test('a deadline that is none, a signal that is none, and what is no option, whatever the call', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    const calls: readonly (readonly [string, (options: never) => Promise<unknown>])[] = [
      ['summarize', (options) => session.summarize('scripted/model', options)],
      ['revertMessage', (options) => session.revertMessage('msg_x', options)],
      ['unrevert', (options) => session.unrevert(options)],
      ['abort', (options) => session.abort(options)],
      ['messages', (options) => session.messages({}, options)],
      ['getState', (options) => session.getState(options)],
      ['rename', (options) => session.rename('it', options)],
    ];
    for (const [name, call] of calls) {
      const codes = [{ timeoutMs: '5' }, { timeoutMs: Number.NaN }, { signal: {} }, { timeout: 5 }].map(async (options) => {
        const { code } = await failureOf(call(options as never));
        return code;
      });
      expect([name, ...(await Promise.all(codes))]).toEqual([name, ...Array(3).fill('CONFIG_INVALID'), 'CONFIG_KEY_UNKNOWN']);
    }
    expect((await failureOf(pool.createSession('it', { dir: '/tmp' } as never))).code).toBe('CONFIG_KEY_UNKNOWN');
    expect(() => pool.getIdleSession({ dir: '/tmp' } as never)).toThrow('Option dir of getIdleSession() does not exist.');
    expect((await failureOf(session.summarize(undefined as never))).code).toBe('MODEL_UNKNOWN');
    expect((await failureOf(session.fork(5 as never))).code).toBe('MESSAGE_UNKNOWN');
  });

  test('no deadline that is longer than a timer', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    await session.rename('it', { timeoutMs: 3e9 });
    await session.abort({ timeoutMs: 3e9 });
    expect((await session.getState({ timeoutMs: 3e9 })).status).toBe('idle');
  });

  test('options and fields that would have no effect', async () => {
    await using pool = await openPool();
    const session = await pool.createSession();
    const refusals: readonly (readonly [Promise<unknown>, string, string])[] = [
      [session.prompt('it', { timeout: 5 } as never), 'CONFIG_KEY_UNKNOWN', 'Did you mean timeoutMs?'],
      [session.prompt('it', { title: 'a title' } as never), 'CONFIG_KEY_UNKNOWN', 'Option title of prompt() does not exist.'],
      [session.prompt('it', { directory: '/tmp' } as never), 'CONFIG_KEY_UNKNOWN', 'Option directory of prompt() does not exist.'],
      [session.executeShell('true', { file: [] } as never), 'CONFIG_KEY_UNKNOWN', 'Option file of executeShell() does not exist.'],
      [session.executeCommand('init', '', { modle: 'a/b' } as never), 'CONFIG_KEY_UNKNOWN', 'Did you mean model?'],
      [session.run({ prompt: 'it', title: 'a title' } as never), 'TASK_INVALID', 'rename() changes it'],
      [session.run({ prompt: 'it', directory: '/tmp' } as never), 'TASK_INVALID', 'works where its session does'],
      [session.run({ prompt: 'it' }, { signals: 1 } as never), 'CONFIG_KEY_UNKNOWN', 'Did you mean signal?'],
      [pool.run({ prompt: 'it' }, { permission: 'allow' } as never), 'CONFIG_KEY_UNKNOWN', 'Did you mean permissions?'],
    ];
    for (const [work, code, words] of refusals) {
      const error = await failureOf(work);
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(words)]);
    }
    expect(await session.messages()).toEqual([]);
  });
});

test.each(['data:,%zz', 'data:text/plain', 'file:///%zz.txt', 'file://elsewhere/x.txt', 'nonsense'])(
  'a file whose URL is malformed is refused with what is wrong: %s',
  async (url) => {
    await using pool = await openPool();
    const error = await failureOf(pool.run({ prompt: 'it', files: [{ url }] }));
    expect([error.code, error.message]).toEqual(['TASK_INVALID', expect.stringContaining(`files.0.url: ${url}: it`)]);
  },
);

test('a command whose model is unknown says which, with a near name', async () => {
  await using pool = await openPool();
  const result = await pool.run({ command: 'misspelt it' });
  expect(result).toMatchObject({ outcome: 'failed', session_id: null, error: { code: 'MODEL_UNKNOWN' } });
  expect(result.error?.message).toMatch(/^model of command misspelt: scripted\/modle cannot be used\. Did you mean scripted\/model\?/);
});
