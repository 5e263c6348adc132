import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { opencodeUnderTest } from '@opencode-manager/testing';
import { expectNoProcess, openBench, runClient, type Bench, type Record_, type Running } from './support/ocm.ts';
import { openSynthetic, type Synthetic } from './support/synthetic.ts';

const { isV2 } = opencodeUnderTest();

let bench: Bench;
beforeAll(async () => {
  bench = await openBench({
    rules: [
      { when: { user: 'short' }, reply: 'A few words.' },
      {
        when: { user: 'tool' },
        reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'trap "" TERM; sleep 300', description: 'Sleep' } }] }, 'never'],
      },
      { when: { user: 'quick' }, reply: 'Quick it was.' },
      { when: { user: 'long' }, reply: { fault: 'hang-mid-stream', text: 'one two three four' } },
    ],
  });
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => bench[Symbol.asyncDispose]());

/** Starts four tasks, two at a time. */
async function launchFour(word: string, ...more: readonly string[]) {
  bench.model.reset();
  const prompts = [1, 2, 3, 4].map((number) => `${word} ${number}`);
  const base = ['--directory', bench.workspace.path, '--opencode-config', bench.configFile];
  const run = bench.start(['run', '--prompt', ...prompts, '--concurrency', '2', ...base, '--json', '--permissions', 'allow', ...more]);
  return { run, launch: await run.record('launch') };
}

/** Waits until two of the four are with the model. */
async function startFour(word: string) {
  const { run, launch } = await launchFour(word);
  await bench.model.waitForCalls(2, { purpose: 'turn', timeoutMs: 40_000 }).catch((error: Error) => {
    throw new Error(`${error.message} ocm said: ${run.stderr}${run.stdout}`, { cause: error });
  });
  return { run, launch };
}

/** What comes to pass where a synthetic server has the turns. */
async function twoStarted(run: Running): Promise<void> {
  for (const id of ['prompt-1', 'prompt-2']) await run.record('task.started', (record) => record['id'] === id);
}

async function expectClean(run: Running, launch: Record_) {
  expect(run.records.at(-1)!.type).toBe('done');
  await expectNoProcess(launch['run_id']);
  await expect(stat(launch['state_dir'])).rejects.toThrow('ENOENT');
  await bench.expectNothingLeft();
}

const outcomesOf = (run: Running) => run.records.filter(({ type }) => type === 'task.finished').map(({ outcome }) => outcome);

describe('with work in flight', () => {
  test('the first SIGINT starts nothing new and lets the running tasks finish', async () => {
    // Two turns of two seconds: what is told of here is the command's own.
    await using synthetic = await openSynthetic(bench, { eventsPerSecond: 20 });
    const { run, launch } = await launchFour('short', ...synthetic.args);
    await using _ = run;
    await twoStarted(run);
    run.signal('SIGINT');
    // What npm does: the same signal again, at once. It is one.
    run.signal('SIGINT');
    expect(await run.exit).toBe(130);
    expect(outcomesOf(run)).toEqual(['succeeded', 'succeeded']);
    expect(run.records.at(-1)).toMatchObject({
      type: 'done',
      total: 4,
      succeeded: 2,
      aborted: 0,
      not_started: 2,
      signal: 'SIGINT',
      exit_code: 130,
      clean: true,
    });
    await expectClean(run, launch);
  });

  test('the second SIGINT aborts the running tasks', async () => {
    const { run, launch } = await startFour('long');
    await using _ = run;
    run.signal('SIGINT');
    await expect.poll(() => run.stderr, { timeout: 5000 }).toContain('No new tasks');
    // Equal signals within 300 ms count as one, so the second person's Ctrl-C is sent until it counts.
    await expect
      .poll(
        () => {
          // Not once more when it has counted: it may meet a process that is on its way out.
          if (!run.stderr.includes('Aborting the tasks')) run.signal('SIGINT');
          return run.stderr;
        },
        { timeout: 5000, interval: 320 },
      )
      .toContain('Aborting the tasks');
    expect(await run.exit).toBe(130);
    expect(run.records.at(-1)).toMatchObject({ type: 'done', total: 4, succeeded: 0, not_started: 2, signal: 'SIGINT' });
    expect(outcomesOf(run)).toHaveLength(2);
    await expectClean(run, launch);
  });

  test('SIGTERM aborts at once, tools that ignore TERM included', async () => {
    const { run, launch } = await startFour('tool');
    await using _ = run;
    run.signal('SIGTERM');
    expect(await run.exit).toBe(143);
    expect(outcomesOf(run)).toEqual(['aborted', 'aborted']);
    expect(run.records.at(-1)).toMatchObject({
      type: 'done',
      total: 4,
      aborted: 2,
      not_started: 2,
      signal: 'SIGTERM',
      exit_code: 143,
      clean: true,
    });
    await expectClean(run, launch);
  });
});

test.skipIf(isV2)(
  'the third SIGINT kills the server (opencode 1 only: the turns of opencode 2 have ended before it can be sent)',
  async () => {
    const { run, launch } = await startFour('tool');
    await using _ = run;
    await expect
      .poll(
        () => {
          run.signal('SIGINT');
          return run.stderr;
        },
        { timeout: 10_000, interval: 320 },
      )
      .toContain('Killing the server');
    expect(await run.exit).toBe(130);
    expect(run.records.at(-1)).toMatchObject({ type: 'done', total: 4, succeeded: 0, not_started: 2, signal: 'SIGINT', exit_code: 130 });
    await expectClean(run, launch);
  },
);

/** A server whose turns are slow, and of which no other one starts once there is such a file. */
async function openBreaking(): Promise<Synthetic & { readonly breakIt: () => Promise<void> }> {
  const slow = await openSynthetic(bench, { eventsPerSecond: 1 });
  const [binary, broken] = [join(bench.root, 'opencode-that-breaks'), join(bench.root, 'broken')];
  const script = `[ -e '${broken}' ] && echo 'it is broken' >&2 && exit 1\nexec '${slow.args.at(-1)}' "$@"`;
  await writeFile(binary, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { ...slow, args: [...slow.args, '--binary', binary], breakIt: () => writeFile(broken, '') };
}

test('a server that cannot start again ends the batch with what there is', async () => {
  await using breaking = await openBreaking();
  const { run, launch } = await launchFour('long', ...breaking.args);
  await using _ = run;
  await twoStarted(run);
  await breaking.breakIt();
  process.kill(launch['server'].pid, 'SIGKILL');
  expect(await run.exit).toBe(5);
  expect(outcomesOf(run)).toEqual(['server_lost', 'server_lost']);
  expect(run.records.at(-1)).toMatchObject({ type: 'done', total: 4, succeeded: 0, server_lost: 2, signal: null, exit_code: 5 });
  expect(run.stderr).toMatch(/finished prompt-1 server_lost .*RESTART_BUDGET_SPENT/);
  await expectClean(run, launch);
});

test('a reader that goes away stops the run in order', async () => {
  await using synthetic = await openSynthetic(bench, { eventsPerSecond: 20 });
  const { run, launch } = await launchFour('short', ...synthetic.args);
  await using _ = run;
  await twoStarted(run);
  run.child.stdout!.destroy();
  expect(await run.exit).toBe(143);
  await expectNoProcess(launch['run_id']);
  await bench.expectNothingLeft();
});

test('a running batch answers the clients of its socket', async () => {
  bench.model.reset();
  // One slot for the task that hangs, one for what the clients ask.
  const args = ['--concurrency', '2', '--directory', bench.workspace.path, '--opencode-config', bench.configFile, '--json'];
  await using run = bench.start(['run', '--prompt', 'quick', 'long', ...args]);
  const launch = await run.record('launch');
  await run.record('task.started', ({ id }) => id === 'prompt-2');
  await run.record('task.finished', ({ id }) => id === 'prompt-1');
  const answers = (...line: string[]) => runClient(bench, ...line);
  const { records } = await answers('sessions', '--json');
  expect(Object.fromEntries(records.map(({ title, state, turns }) => [title, { state, turns }]))).toEqual({
    'prompt-1': { state: 'idle', turns: 1 },
    'prompt-2': { state: 'active', turns: 1 },
  });
  const idOf = (task: string) => records.find(({ title }) => title === task)!['id'] as string;
  const [finished, busy] = [idOf('prompt-1'), idOf('prompt-2')];
  // opencode would merge another client's prompt into the turn in flight.
  expect(await answers('prompt', busy, 'hello')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('SESSION_BUSY') });
  // A finished task's session has no task any more; it takes turns again, one at a time.
  const [prompt, shell] = await Promise.all([
    answers('prompt', finished, 'quick'),
    answers('shell', finished, 'echo', 'from', 'a', 'client'),
  ]);
  expect([prompt, shell].map(({ exitCode, stdout }) => ({ exitCode, stdout }))).toEqual([
    { exitCode: 0, stdout: 'Quick it was.\n' },
    { exitCode: 0, stdout: 'from a client\n' },
  ]);
  expect(await answers('abort', busy)).toMatchObject({ exitCode: 0, stdout: `${busy} is idle.\n` });
  expect(await run.exit).toBe(1);
  expect(outcomesOf(run)).toEqual(['succeeded', 'aborted']);
  await expectClean(run, launch);
});

test('a signal during the start ends the start', async () => {
  await using run = bench.start(['run', '--prompt', 'short', '--directory', bench.workspace.path, '--opencode-config', bench.configFile]);
  await expect.poll(async () => (await stat(String(bench.env['TMPDIR']))).nlink, { timeout: 20_000 }).toBeGreaterThan(2);
  run.signal('SIGINT');
  expect(await run.exit).toBe(130);
  expect(run.stdout).toBe('');
  await bench.expectNothingLeft();
});
