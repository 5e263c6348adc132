import { rm } from 'node:fs/promises';
import type { OpencodeServer } from '@opencode-manager/core';
import { opencodeUnderTest, temporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { SessionPool } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';
import { until } from '../support/watch.ts';

const { isV2 } = opencodeUnderTest();

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([
    { name: 'slow', when: { user: /^slowly/ }, reply: { text: 'word '.repeat(1000), tokensPerSecond: 4 } },
    { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
  ]);
});
afterAll(() => bench[Symbol.asyncDispose]());

/** The directories that the server has forgotten since. */
function forgottenBy(pool: SessionPool): string[] {
  const directories: string[] = [];
  pool.events.on({ type: 'server.disposed' }, ({ directory }) => directories.push(directory ?? ''));
  return directories;
}

const anyMoment = { timeout: 10_000, interval: 20 };

async function workspaces(stack: AsyncDisposableStack, count: number): Promise<string[]> {
  const made = Array.from({ length: count }, () => temporaryWorkspace({ files: { 'a.txt': 'a\n' } }));
  return (await Promise.all(made)).map((workspace) => stack.use(workspace).path);
}

test.skipIf(isV2)(
  'of the directories without a turn the server keeps those that were used last; another turn meets one anew (opencode 1 only: 2 cannot dispose)',
  async () => {
    await using stack = new AsyncDisposableStack();
    const [first = '', second = '', third = ''] = await workspaces(stack, 3);
    await using pool = await createSessionPool({ server: bench.server, recovery: true, maxIdleDirectories: 1, sessions: 'reuse' });
    const forgotten = forgottenBy(pool);
    const [one, , three] = [
      await pool.run({ prompt: 'say one', directory: first }),
      await pool.run({ prompt: 'say home' }),
      await pool.run({ prompt: 'say two', directory: second }),
    ];
    await vi.waitFor(() => expect(forgotten).toEqual([first]), anyMoment);
    // The worktree of a task may be gone by the time that its turn comes.
    await rm(second, { recursive: true });
    await pool.run({ prompt: 'say three', directory: third });
    await vi.waitFor(() => expect(forgotten).toEqual([first, second]), anyMoment);
    const again = await pool.run({ prompt: 'say again', directory: first });
    expect([one.output, three.output, again.output]).toEqual(['You said one.', 'You said two.', 'You said again.']);
    expect(again.session_id).toBe(one.session_id);
    await vi.waitFor(() => expect(forgotten).toEqual([first, second, third]), anyMoment);
  },
);

test.skipIf(isV2)(
  'a directory with a turn, with a lent session, or with the work of somebody else is kept (opencode 1 only: 2 cannot dispose)',
  async () => {
    await using stack = new AsyncDisposableStack();
    const [busy = '', lentFrom = '', foreign = '', unused = ''] = await workspaces(stack, 4);
    await using pool = await createSessionPool({ server: bench.server, recovery: true, maxIdleDirectories: 0 });
    const forgotten = forgottenBy(pool);
    const lent = await pool.createSession('lent', { directory: lentFrom });
    const elsewhere = await bench.server.createSession({ directory: foreign });
    const enough = new AbortController();
    const turn = pool.run({ prompt: 'slowly', directory: busy }, { signal: enough.signal });
    const other = expect(elsewhere.prompt('slowly')).rejects.toMatchObject({ code: 'TURN_ABORTED' });
    await until(pool, ({ sessions }) => sessions.some(({ directory, path }) => directory === busy && path === 'active.running'));
    for (const directory of [busy, foreign, unused]) await pool.run({ prompt: 'say hello', directory });
    await vi.waitFor(() => expect(forgotten).toEqual([unused]), anyMoment);
    enough.abort();
    expect((await turn).outcome).toBe('aborted');
    await vi.waitFor(() => expect(forgotten).toEqual([unused, busy]), anyMoment);
    await elsewhere.abort();
    await other;
    expect((await lent.prompt('say lent')).output).toBe('You said lent.');
    expect(forgotten).not.toContain(lentFrom);
    lent.release();
    await vi.waitFor(() => expect(forgotten).toEqual([unused, busy, lentFrom]), anyMoment);
  },
);

test.skipIf(isV2)('a turn waits while its directory is being forgotten (opencode 1 only: 2 cannot dispose)', async () => {
  await using stack = new AsyncDisposableStack();
  const [directory = ''] = await workspaces(stack, 1);
  const gate = Promise.withResolvers<void>();
  const asked = vi.fn<OpencodeServer['disposeDirectory']>(async (path, options) => {
    await gate.promise;
    return bench.server.disposeDirectory(path, options);
  });
  await using pool = await createSessionPool({
    server: { ...bench.server, disposeDirectory: asked },
    recovery: true,
    maxIdleDirectories: 0,
  });
  const forgotten = forgottenBy(pool);
  await pool.run({ prompt: 'say first', directory });
  expect(asked).toHaveBeenCalledOnce();
  const started = vi.fn();
  pool.on('task.started', started);
  const second = pool.run({ prompt: 'say second', directory });
  await pool.run({ prompt: 'say elsewhere' });
  expect(started).toHaveBeenCalledOnce();
  gate.resolve();
  expect((await second).output).toBe('You said second.');
  await vi.waitFor(() => expect(forgotten).toEqual([directory, directory]), anyMoment);
});

test.skipIf(isV2)(
  'a turn whose directory is forgotten by a request that nobody waits for any more ends as aborted, and the next one works (opencode 1 only: 2 cannot dispose)',
  async () => {
    await using stack = new AsyncDisposableStack();
    const [directory = ''] = await workspaces(stack, 1);
    const asked = vi.fn<OpencodeServer['disposeDirectory']>(() => Promise.reject(new Error('no answer within 15 s')));
    await using pool = await createSessionPool({
      server: { ...bench.server, disposeDirectory: asked },
      recovery: true,
      maxIdleDirectories: 0,
    });
    await pool.run({ prompt: 'say first', directory });
    expect(asked).toHaveBeenCalledOnce();
    const turn = pool.run({ prompt: 'slowly', directory });
    await until(pool, ({ sessions }) => sessions.some(({ path }) => path === 'active.running'));
    const { url, authorization } = bench.server.credentials();
    const late = new URL(`/instance/dispose?${new URLSearchParams({ directory }).toString()}`, url);
    const headers = { authorization, 'content-type': 'application/json' };
    expect((await fetch(late, { method: 'POST', headers, body: '{}' })).ok).toBe(true);
    expect(await turn).toMatchObject({ outcome: 'aborted', attempt: 1, error: { code: 'TURN_ABORTED' } });
    expect((await pool.run({ prompt: 'say again', directory })).output).toBe('You said again.');
  },
);

test('a pool that may not start servers makes none forget', async () => {
  await using stack = new AsyncDisposableStack();
  const [directory = ''] = await workspaces(stack, 1);
  const asked = vi.fn<OpencodeServer['disposeDirectory']>((path) => bench.server.disposeDirectory(path));
  await using pool = await createSessionPool({ server: { ...bench.server, disposeDirectory: asked }, maxIdleDirectories: 0 });
  await pool.run({ prompt: 'say it', directory });
  expect(asked).not.toHaveBeenCalled();
});
