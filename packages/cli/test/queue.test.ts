import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openQueue, type QueueClient } from '@opencode-manager/queue';
import type { JournalEvent } from '@opencode-manager/runs';
import { findPostgres, findRedis, opencodeUnderTest, startPostgres, startRedis, type TestEngine } from '@opencode-manager/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { openBench, runClient, type Bench, type Record_, type Running } from './support/ocm.ts';
import { runHere } from './support/terminal.ts';

const { by } = opencodeUnderTest();

const execute = promisify(execFile);

const script = {
  rules: [
    {
      when: { user: /^edit (\S+)/ },
      reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'echo {{user.1}} > made.txt' } }] }, 'made {{user.1}}'],
    },
    { when: { user: 'for ever' }, reply: { fault: 'hang-mid-stream' as const, text: 'one two' } },
    { when: { user: 'wait' }, reply: { text: 'waited', delayMs: 4000 } },
    { when: { user: 'busy' }, reply: { error: { status: 429, message: 'slow down', retryAfterSeconds: 20 } } },
    { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
  ],
};

const engines = [
  { name: 'redis', isThere: findRedis() !== undefined, start: startRedis },
  { name: 'postgres', isThere: findPostgres() !== undefined, start: startPostgres },
];

/** A bench whose repository has a remote that knows its commit. */
async function benchWithRemote(): Promise<Bench> {
  const bench = await openBench(script);
  const git = (...args: string[]) => execute('git', ['-C', bench.workspace.path, ...args], { env: bench.env });
  await git('clone', '--quiet', '--bare', bench.workspace.path, join(bench.root, 'remote.git'));
  await git('remote', 'add', 'origin', join(bench.root, 'remote.git'));
  await git('fetch', '--quiet', 'origin');
  return bench;
}

async function fileOf(bench: Bench, name: string, tasks: readonly object[]): Promise<string> {
  const file = join(bench.root, `${name}.jsonl`);
  await writeFile(file, tasks.map((task) => `${JSON.stringify(task)}\n`).join(''));
  return file;
}

for (const { name, isThere, start } of engines) {
  describe.skipIf(!isThere)(`a queue on ${name}`, () => {
    let bench: Bench;
    let engine: TestEngine;
    let client: QueueClient;
    const running: Running[] = [];

    beforeAll(async () => {
      [bench, engine] = await Promise.all([benchWithRemote(), start()]);
      client = await openQueue(engine.url);
    });
    afterEach(async () => {
      for (const one of running.splice(0)) await one[Symbol.asyncDispose]();
    });
    afterAll(async () => {
      vi.unstubAllEnvs();
      await client[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    });

    function begin(...args: string[]): Running {
      const one = bench.start(args);
      running.push(one);
      return one;
    }

    const onQueue = (run: string, ...more: string[]) => ['--queue', engine.url, '--run', run, ...more, '--json'];
    const common = () => ['--opencode-config', bench.configFile, '--directory', bench.workspace.path, '--permissions', 'allow'];

    async function worker(...more: string[]): Promise<Running> {
      const one = begin('worker', '--queue', engine.url, '--opencode-config', bench.configFile, '--lease', '2s', ...more, '--json');
      await one.record('launch');
      return one;
    }

    async function rowsOf(run: string): Promise<readonly JournalEvent[]> {
      return (await client.ledger.rows(run, 0, 500)).map(({ event }) => event);
    }

    function untilRow(run: string, type: JournalEvent['type'], timeout = 30_000): Promise<JournalEvent> {
      return vi.waitFor(
        async () => {
          const found = (await rowsOf(run)).find((event) => event.type === type);
          if (!found) throw new Error(`no row ${type} yet`);
          return found;
        },
        { timeout, interval: 100 },
      );
    }

    test('is filled once, drained by a worker, collected into the directory of a run, and left as it was', async () => {
      const file = await fileOf(bench, 'mixed', [
        { id: 'one', prompt: 'say one' },
        { id: 'two', prompt: 'edit two' },
      ]);
      const enqueue = () => runClient(bench, 'enqueue', file, ...onQueue('mixed.up_1', ...common()));
      expect((await enqueue()).records).toMatchObject([{ type: 'enqueued', run: 'mixed.up_1', total: 2, is_new: true, waiting: 2 }]);
      expect((await enqueue()).records).toMatchObject([{ type: 'enqueued', is_new: false, waiting: 2 }]);
      const other = await fileOf(bench, 'other', [{ id: 'one', prompt: 'say something else' }]);
      const refused = await runClient(bench, 'enqueue', other, ...onQueue('mixed.up_1', ...common()));
      expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('other tasks (one, two)') });
      const host = await worker('--health', '0');
      const { health } = host.records.find(({ type }) => type === 'launch')!;
      expect(await (await fetch(`${health}/ready`)).json()).toMatchObject({ ready: true });
      const collector = begin('run', '--directory', bench.workspace.path, ...onQueue('mixed.up_1'));
      expect(await collector.exit).toBe(0);
      const { run_dir: path } = collector.records.find(({ type }) => type === 'launch')!;
      const results = await runClient(bench, 'results', path, '--json');
      const finished = results.records.filter(({ type }) => type === 'task.finished');
      const told = finished.map(({ id, outcome, output }) => [id, outcome, output]).toSorted(([a], [b]) => (a < b ? -1 : 1));
      expect(told).toEqual([
        ['one', 'succeeded', 'You said one.'],
        ['two', 'succeeded', 'made two'],
      ]);
      const { patch } = finished.find(({ id }) => id === 'two')!;
      expect(patch).toContain(path);
      expect(await readFile(patch, 'utf8')).toContain('+two\n');
      const show = await runClient(bench, 'show', path, 'one');
      expect(show.stdout).toContain('say one');
      expect((await runClient(bench, 'status', 'mixed.up_1', '--queue', engine.url, '--json')).records).toMatchObject([
        { type: 'run', id: 'mixed.up_1', status: 'done', total: 2, states: { succeeded: 2 } },
      ]);
      host.signal('SIGTERM');
      expect(await host.exit).toBe(0);
      await vi.waitFor(() => bench.expectNothingLeft(), { timeout: 10_000 });
      expect((await runClient(bench, 'clean', 'mixed.up_1', '--queue', engine.url, '--json')).records).toMatchObject([
        { id: 'mixed.up_1', removed: true },
      ]);
    });

    test('gives the tasks of a frozen worker to another, ends what its server does, and refuses its late results', async () => {
      const file = await fileOf(bench, 'frozen', [{ id: 'slow', prompt: 'wait' }]);
      await runClient(bench, 'enqueue', file, ...onQueue('frozen', ...common()));
      const first = await worker();
      await untilRow('frozen', 'attempt.intended');
      await vi.waitFor(() => expect(bench.model.calls.filter(({ user }) => user === 'wait')).toHaveLength(1));
      first.signal('SIGSTOP');
      const call = bench.model.calls.find(({ user }) => user === 'wait');
      await worker();
      await vi.waitFor(async () => expect((await rowsOf('frozen')).at(-1)).toMatchObject({ outcome: 'succeeded', final: true }), {
        timeout: 30_000,
        interval: 100,
      });
      // Its guard has ended what it would have spent on.
      expect(bench.model.calls.find(({ number }) => number === call!.number)).toMatchObject({ outcome: 'aborted' });
      first.signal('SIGCONT');
      expect(await untilRow('frozen', 'attempt.superseded')).toMatchObject({
        key: 'slow',
        attempt: 1,
        // opencode 2 tells of a call when the model begins to answer.
        spent: { modelCalls: by({ v1: 1, v2: 0 }) },
      });
      const rows = await rowsOf('frozen');
      expect(rows.filter(({ type }) => type === 'attempt.ended')).toMatchObject([
        { attempt: 1, outcome: 'interrupted', counts: 'infrastructure', final: false, error: { code: 'LEASE_LOST' } },
        { attempt: 2, outcome: 'succeeded', final: true },
      ]);
    });

    test('takes no more than it has slots for, and at SIGTERM ends with what runs', async () => {
      const file = await fileOf(
        bench,
        'slots',
        ['a', 'b', 'c', 'd'].map((id) => ({ id, prompt: 'wait' })),
      );
      await runClient(bench, 'enqueue', file, ...onQueue('slots', ...common()));
      const host = await worker('--concurrency', '1', '--health', '0');
      const { health } = host.records.find(({ type }) => type === 'launch')!;
      await untilRow('slots', 'attempt.intended');
      expect(await (await fetch(`${health}/ready`)).json()).toEqual({ ready: true, running: 1 });
      host.signal('SIGTERM');
      await vi.waitFor(async () => expect((await fetch(`${health}/ready`)).status).toBe(503), { timeout: 3000 });
      expect(await host.exit).toBe(0);
      expect((await rowsOf('slots')).filter(({ type }) => type === 'attempt.ended')).toMatchObject([{ outcome: 'succeeded', final: true }]);
    });

    test('ends a task that no host can begin, and says why without what git of a host is told; another host begins it', async () => {
      const file = await fileOf(bench, 'unable', [{ id: 'one', prompt: 'say one' }]);
      await runClient(bench, 'enqueue', file, ...onQueue('unable', ...common()));
      const elsewhere = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'url.https://u:t0ken@127.0.0.1:1/.insteadOf', GIT_CONFIG_VALUE_0: '/' };
      const args = ['worker', '--queue', engine.url, '--opencode-config', bench.configFile, '--lease', '1s', '--json'];
      const unable = bench.start(args, { env: elsewhere });
      running.push(unable);
      const ends = () => rowsOf('unable').then((rows) => rows.filter(({ type }) => type === 'attempt.ended'));
      await vi.waitFor(async () => expect(await ends()).toHaveLength(1), { timeout: 20_000, interval: 100 });
      const { records } = await runClient(bench, 'status', 'unable', '--queue', engine.url, '--json');
      expect(records).toMatchObject([{ unable_workers: [{ pid: unable.pid, why: expect.stringMatching(/cannot be cloned/) }] }]);
      await vi.waitFor(async () => expect((await ends()).at(-1)).toMatchObject({ final: true }), { timeout: 20_000, interval: 100 });
      const rows = await ends();
      const error = { code: 'WORKSPACE_SOURCE_INVALID' };
      expect(rows).toMatchObject([1, 2, 3, 4].map((attempt) => ({ attempt, outcome: 'interrupted', counts: 'infrastructure', error })));
      expect(JSON.stringify([rows, records])).not.toContain('t0ken');
      await worker();
      await runClient(bench, 'ctl', 'task', 'requeue', 'one', '--run', 'unable', '--queue', engine.url, '--json');
      const collector = begin('run', '--directory', bench.workspace.path, ...onQueue('unable'));
      expect(await collector.exit).toBe(0);
    });

    test('passes wishes of users and holds of providers on to every host', async () => {
      const file = await fileOf(bench, 'wishes', [
        { id: 'endless', prompt: 'for ever' },
        { id: 'refused', prompt: 'busy' },
      ]);
      await runClient(bench, 'enqueue', file, ...onQueue('wishes', ...common()));
      await worker('--concurrency', '2');
      await vi.waitFor(() => expect(bench.model.calls.filter(({ user }) => user === 'for ever')).toHaveLength(1), { timeout: 20_000 });
      const cancelled = await runClient(bench, 'ctl', 'task', 'cancel', 'endless', '--run', 'wishes', '--queue', engine.url, '--json');
      expect(cancelled.records).toMatchObject([{ key: 'endless', change: 'aborting' }]);
      await vi.waitFor(() => expect(bench.model.calls.find(({ user }) => user === 'for ever')).toMatchObject({ outcome: 'aborted' }), {
        timeout: 2000,
        interval: 50,
      });
      // The provider refuses again after 20 s, should the first time not have been heard.
      await vi.waitFor(async () => expect(Object.keys(await client.ledger.holds())).toEqual(['scripted']), { timeout: 40_000 });
      const held: Record_[] = (await runClient(bench, 'ctl', 'provider', 'list', '--queue', engine.url, '--run', 'wishes', '--json'))
        .records;
      expect(held).toMatchObject([{ type: 'provider', id: 'scripted', is_paused: false }]);
      await runClient(bench, 'ctl', 'run', 'cancel', 'wishes', '--queue', engine.url, '--json');
      await vi.waitFor(async () => expect((await rowsOf('wishes')).filter(({ type }) => type === 'attempt.ended')).toHaveLength(2), {
        timeout: 10_000,
        interval: 100,
      });
      expect((await runClient(bench, 'status', 'wishes', '--queue', engine.url, '--json')).records).toMatchObject([
        { status: 'cancelled' },
      ]);
      await client.ledger.hold('scripted', 0);
    });
  });
}

describe.skipIf(findRedis() === undefined)('what is not for many hosts', () => {
  let bench: Bench;
  let engine: TestEngine;

  beforeAll(async () => {
    [bench, engine] = await Promise.all([benchWithRemote(), startRedis()]);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await engine[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  const enqueue = (file: string, ...more: string[]) =>
    runClient(
      bench,
      'enqueue',
      file,
      '--queue',
      engine.url,
      '--run',
      'no',
      '--opencode-config',
      bench.configFile,
      '--directory',
      bench.workspace.path,
      ...more,
    );

  test('is refused by its name, and nothing is put in', async () => {
    const file = await fileOf(bench, 'plain', [{ id: 'a', prompt: 'say a' }]);
    vi.stubEnv('SOME_API_KEY', 'sk-verysecret-0123456789');
    const secret = await fileOf(bench, 'secret', [{ id: 'a', prompt: 'use sk-verysecret-0123456789' }]);
    expect(await enqueue(secret)).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/QUEUE_UNSUITED: Task a holds a secret/) });
    const ordered = await fileOf(bench, 'ordered', [
      { id: 'a', prompt: 'say a' },
      { id: 'b', prompt: 'say b', after: ['a'] },
    ]);
    expect(await enqueue(ordered)).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/Task b comes after a/) });
    const limited = await runClient(bench, 'run', file, '--queue', engine.url, '--run', 'no', '--max-usd', '5');
    expect(limited).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/--max-usd cannot be had with --queue/) });
    await execute(
      'git',
      ['-C', bench.workspace.path, '-c', 'user.name=x', '-c', 'user.email=x@x', 'commit', '--quiet', '--allow-empty', '-m', 'local'],
      { env: bench.env },
    );
    expect(await enqueue(file)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/No remote of .* is known to have the commit/),
    });
    expect((await runClient(bench, 'runs', '--queue', engine.url, '--json')).records).toEqual([]);
  });

  test('is told of a queue: an address that is none, one that does not answer', async () => {
    expect(await runClient(bench, 'runs', '--queue', 'amqp://somewhere')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('QUEUE_UNUSABLE'),
    });
    const gone = await runClient(bench, 'runs', '--queue', 'redis://:secret@127.0.0.1:1');
    expect(gone).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/redis:\/\/:redacted@127\.0\.0\.1:1 cannot be reached/) });
    expect(gone.stderr).not.toContain('secret@');
  });
});

test('the Docker Compose recipe starts workers with options that there are, on a Redis that loses nothing', async () => {
  const text = await readFile(new URL('../../../examples/scale-out/compose.yaml', import.meta.url), 'utf8');
  const { services } = parse(text) as { services: Record<'worker' | 'redis', { command: string[] }> };
  const [program, command, ...options] = services.worker.command;
  expect([program, command]).toEqual(['ocm', 'worker']);
  const { stdout: help } = await runHere('worker', '--help');
  for (const option of options.filter((word) => word.startsWith('--'))) expect(help).toContain(`${option} `);
  expect(services.redis.command.join(' ')).toBe('redis-server --appendonly yes --appendfsync always --maxmemory-policy noeviction');
});
