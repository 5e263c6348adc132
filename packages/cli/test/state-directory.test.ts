import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { expectNoProcess, openBench, runClient, type Bench, type Running } from './support/ocm.ts';

/**
 * A file system of its own for the state directory, seen by one command alone, which takes it along when it ends. It needs the
 * right to mount: root has it unless its container lacks CAP_SYS_ADMIN, others have it where user namespaces are allowed.
 */
const namespace = process.getuid?.() === 0 ? ['-m'] : ['-Urm'];
const mayMount = spawnSync('unshare', [...namespace, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
if (!mayMount) console.info('Nothing can be mounted here: full and read-only state directories are not tested on this machine.');

const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });
const rules = [
  { name: 'fill', when: { user: 'fill it' }, reply: [bash('head -c 2G /dev/zero > "$TMPDIR/fill"; true'), 'Filled.'] },
  { name: 'hold', when: { user: 'hold on' }, reply: { text: 'word '.repeat(600), tokensPerSecond: 5 }, times: 1 },
  { when: { user: 'hold on' }, reply: 'Held.' },
  { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
];

let bench: Bench;
let stateDir: string;
beforeAll(async () => {
  bench = await openBench({ rules });
  stateDir = join(bench.root, 'state');
  await mkdir(stateDir, { mode: 0o700 });
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => bench[Symbol.asyncDispose]());

function base(): string[] {
  return ['--directory', bench.workspace.path, '--opencode-config', bench.configFile, '--state-dir', stateDir, '--permissions', 'allow'];
}

function startOn(mountOptions: string, args: readonly string[]): Running {
  const mount = `mount -t tmpfs -o ${mountOptions} tmpfs "${stateDir}" && exec "$@"`;
  return bench.start(args, { within: ['unshare', ...namespace, 'sh', '-c', mount, 'sh'] });
}

describe.runIf(mayMount)('a state directory on a file system', () => {
  test.each([
    ['that is read-only', 'ro', 'STATE_DIRECTORY_UNWRITABLE', 'cannot be written (EROFS)'],
    ['that is full', 'size=4k', 'STATE_DIRECTORY_FULL', 'ENOSPC'],
  ])('%s: refused with its name and the reason, and nothing is left', async (_what, options, code, reason) => {
    bench.model.reset();
    await using run = startOn(options, ['run', '--prompt', 'say no', ...base()]);
    expect(await run.exit).toBe(2);
    expect(run.stderr).toContain(code);
    expect(run.stderr).toContain(stateDir);
    expect(run.stderr).toContain(reason);
    expect(bench.model.calls).toEqual([]);
    await bench.expectNothingLeft();
  });

  test('that fills up under a server: turns end and say why, and when there is room again they succeed', { timeout: 150_000 }, async () => {
    const serve = startOn('size=150m', ['serve', '--profile', 'batch', '--json', ...base()]);
    await using _ = serve;
    const launch = await serve.record('launch');
    const prompt = (text: string) => runClient(bench, 'prompt', 'new', text);
    expect(await prompt('say one')).toMatchObject({ exitCode: 0, stdout: 'You said one.\n' });
    const filled = await prompt('fill it');
    const full = await prompt('say two');
    expect(filled).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('STATE_DIRECTORY_FULL') as string });
    expect(full).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('STATE_DIRECTORY_FULL') as string });
    // The command's own view of the file system is below its entry in /proc.
    await rm(join('/proc', String(serve.pid), 'root', stateDir, 'tmp', 'fill'));
    expect(await prompt('say three')).toMatchObject({ exitCode: 0, stdout: 'You said three.\n' });
    serve.signal('SIGTERM');
    await serve.exit;
    await expectNoProcess(launch['run_id']);
    await bench.expectNothingLeft();
  });
});

test(
  'a state directory that is deleted while tasks run, its server then killed: what was lost runs again',
  { timeout: 150_000 },
  async () => {
    bench.model.reset();
    const prompts = ['hold on', 'say one', 'say two'];
    await using run = bench.start(['run', '--prompt', ...prompts, '--concurrency', '1', '--timeout', '60s', '--json', ...base()]);
    const launch = await run.record('launch');
    await bench.model.waitForCalls(1, { rule: 'hold', timeoutMs: 40_000 });
    await rm(stateDir, { recursive: true, force: true });
    process.kill(launch['server'].pid, 'SIGKILL');
    const restarted = await run.record('server.restarted');
    expect(await readFile(join(stateDir, 'manager.lock'), 'utf8')).toContain(launch['run_id']);
    expect(await run.exit, run.stderr).toBe(0);
    expect(restarted).toMatchObject({ server: { version: launch['server'].version }, restarts: 1 });
    expect(restarted['server'].pid).not.toBe(launch['server'].pid);
    expect(run.records.map(({ type, id }) => [type, id])).toEqual([
      ['launch', undefined],
      ['task.started', 'prompt-1'],
      ['server.restarted', undefined],
      ['task.retried', 'prompt-1'],
      ['task.started', 'prompt-1'],
      ['task.finished', 'prompt-1'],
      ...['prompt-2', 'prompt-3'].flatMap((id) => ['task.started', 'task.finished'].map((type) => [type, id])),
      ['done', undefined],
    ]);
    expect(run.records.at(-1)).toMatchObject({ type: 'done', succeeded: 3, server_restarts: 1, clean: true });
    expect(run.records.filter(({ type }) => type === 'task.finished')).toMatchObject([
      { outcome: 'succeeded', output: 'Held.', attempt: 2, attempts: [{ outcome: 'interrupted' }], workspace_may_be_half_changed: true },
      { outcome: 'succeeded', output: 'You said one.', attempt: 1 },
      { outcome: 'succeeded', output: 'You said two.', attempt: 1 },
    ]);
    await expectNoProcess(launch['run_id']);
    await bench.expectNothingLeft();
  },
);
