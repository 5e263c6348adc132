import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { expectNoProcess, killWithGuard, openBench, runClient, type Bench, type Record_ } from './support/ocm.ts';
import { openSynthetic } from './support/synthetic.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const statuses = (records: readonly Record_[]) =>
  Object.fromEntries(records.filter(({ type }) => type === 'check').map(({ name, status }) => [name, status]));

test('ocm doctor tells a missing binary, and goes on with the rest', async () => {
  await using doctor = bench.start(['doctor', '--json', '--binary', '/nowhere/opencode']);
  expect(await doctor.exit).toBe(5);
  expect(statuses(doctor.records)).toEqual({
    platform: 'ok',
    supported: 'note',
    binary: 'failed',
    sandbox: 'note',
    managers: 'ok',
    leftovers: 'ok',
  });
});

/** A run that dies in the middle of a task. */
const dying = `
  import { writeFileSync } from 'node:fs';
  import { openWorkspaces } from '@opencode-manager/workspaces';
  const workspaces = await openWorkspaces({ repository: process.argv[1], root: process.argv[2], mode: 'worktree' });
  const kept = await workspaces.acquire('kept');
  await kept.release({ keep: true });
  const { path } = await workspaces.acquire('lost');
  writeFileSync(path + '/found.txt', 'work');
  process.kill(process.pid, 'SIGKILL');
`;

test('ocm doctor finds workspaces that dead runs left of the repository; with --reap it brings their results home', async () => {
  // A command that runs here changes the temporary directory of this process.
  onTestFinished(() => void vi.unstubAllEnvs());
  const repository = bench.workspace.path;
  const root = join(bench.root, 'dead');
  const flags = ['--conditions=@opencode-manager/source', '--input-type=module', '-e', dying];
  const run = spawnSync(process.execPath, [...flags, repository, root], { cwd: import.meta.dirname, encoding: 'utf8' });
  expect(run.signal, run.stderr).toBe('SIGKILL');
  const git = (...args: string[]) => execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8' });
  const looksAt = async (directory: string, ...args: string[]) => {
    const { records } = await runClient(bench, 'doctor', '--binary', '/nowhere', '--directory', directory, '--json', ...args);
    return records.filter(({ name }) => name === 'workspaces').map(({ status, detail }) => [status, detail]);
  };
  const looks = (...args: string[]) => looksAt(relative(process.cwd(), repository), ...args);
  expect(await looksAt('/nowhere')).toEqual([['failed', 'repository: /nowhere does not exist.']]);
  const kept = ['note', expect.stringMatching(/^kept: \S+\/kept-\S+\. Look at them; remove them with: ocm clean --keep-results$/)];
  expect(await looks()).toEqual([kept, ['failed', expect.stringContaining(`1 dead run left 1 workspace of ${repository}. Take`)]]);
  expect(await looks('--reap')).toEqual([kept, ['ok', expect.stringContaining('; removed; results: refs/ocm/dead/lost-')]]);
  expect(git('show', git('for-each-ref', '--format=%(refname)', 'refs/ocm/dead/lost*/1').trim() + ':found.txt')).toBe('work');
  expect(await looks()).toEqual([kept]);
  expect((await runClient(bench, 'clean', '--directory', repository, 'dead')).exitCode).toBe(0);
  expect([await looks(), git('for-each-ref', 'refs/ocm'), git('worktree', 'list').trim().split('\n').length]).toEqual([[], '', 1]);
});

test.runIf(process.platform === 'linux')(
  'ocm doctor finds what dead managers left behind; with --reap it cleans up, and all is well',
  async () => {
    await using synthetic = await openSynthetic(bench);
    await using serve = bench.start(['serve', '--directory', bench.workspace.path, ...synthetic.args, '--json']);
    const launch = await serve.record('launch');
    await killWithGuard(serve);
    expect(await serve.exit).toBe('SIGKILL');

    await using finds = bench.start(['doctor', '--json']);
    expect(await finds.exit).toBe(1);
    const leftovers = finds.records.find(({ name }) => name === 'leftovers')!;
    expect(leftovers).toMatchObject({ status: 'failed', detail: expect.stringContaining(launch['state_dir']) });
    await using reaps = bench.start(['doctor', '--reap', '--json']);
    expect(await reaps.exit, reaps.stdout + reaps.stderr).toBe(0);
    expect(statuses(reaps.records)).toEqual({
      platform: 'ok',
      supported: 'note',
      binary: 'ok',
      server: 'ok',
      tools: 'ok',
      password: 'ok',
      stop: 'ok',
      'user-directories': 'ok',
      environment: 'ok',
      'open-files': 'ok',
      processes: 'ok',
      state: 'ok',
      sandbox: 'note',
      managers: 'ok',
      leftovers: 'ok',
    });
    expect(reaps.records.at(-1)).toEqual({ type: 'done', schema_version: 1, ok: true, exit_code: 0 });
    await expectNoProcess(launch['run_id']);
    await bench.expectNothingLeft();
  },
);

test.runIf(process.platform === 'linux')('ocm doctor --reap says whose what another machine left is, and leaves it alone', async () => {
  const registry = join(String(bench.env['TMPDIR']), `opencode-manager-${process.getuid!()}`);
  const stateDir = join(bench.root, 'elsewhere');
  const origin = { bootId: '0123456789', pidNamespace: 'pid:[1]', hostname: 'neighbour' };
  const record = {
    runId: 'r1',
    managerPid: 7,
    managerStartTime: '1',
    origin,
    stateDir,
    temporaryState: true,
    url: '',
    startedAt: '2026-01-01',
  };
  await mkdir(stateDir);
  await mkdir(registry, { mode: 0o700 });
  await writeFile(join(registry, 'r1.json'), JSON.stringify(record));
  await using doctor = bench.start(['doctor', '--reap', '--json', '--binary', '/nowhere/opencode']);
  expect(await doctor.exit).toBe(5);
  expect(doctor.records.find(({ name }) => name === 'elsewhere')).toMatchObject({
    status: 'note',
    detail: `process 7 of another container or machine (host neighbour, pid:[1], boot 01234567) owns ${stateDir}; left alone, since it may be alive there`,
  });
  expect(statuses(doctor.records)).toMatchObject({ managers: 'ok', leftovers: 'ok' });
  expect(await readdir(registry)).toEqual(['r1.json']);
  expect(await readdir(bench.root)).toContain('elsewhere');
  await rm(registry, { recursive: true });
});

test('ocm mock-model serves a script until a signal, and tells how to use it', async () => {
  const script = join(bench.root, 'script.jsonc');
  await writeFile(script, '{ "rules": [{ "when": { "user": "ping" }, "reply": "pong" }], } // JSONC');
  await using model = bench.start(['mock-model', '--script', script, '--json']);
  const { url, opencode_config: config } = await model.record('model');
  expect(config).toMatchObject({ model: 'scripted/model', enabled_providers: ['scripted'] });
  const response = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'model', messages: [{ role: 'user', content: 'ping' }] }),
  });
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'pong' } }] });
  model.signal('SIGINT');
  expect(await model.exit).toBe(130);
  expect(model.records.at(-1)).toMatchObject({ type: 'done', calls: 1 });
});

test('ocm model, its name of before, refuses a bad script', async () => {
  const script = join(bench.root, 'bad.json');
  await writeFile(script, '{ "rulez": [] }');
  await using model = bench.start(['model', '--script', script]);
  expect(await model.exit).toBe(2);
  expect(model.stderr).toContain('error SCRIPT_INVALID: ');
});
