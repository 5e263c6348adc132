import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openBench, runClient, type Bench, type Record_, type Running } from './support/ocm.ts';

const crowd = 50;
const running = Array.from({ length: crowd }, (_, index) => `run-${index + 1}`);

let bench: Bench;
let run: Running;
let launch: Record_;

beforeAll(async () => {
  bench = await openBench({
    rules: [
      { when: { user: 'fail' }, reply: { error: { status: 400, message: 'no' } } },
      { when: { user: 'for ever' }, reply: { fault: 'hang-mid-stream', text: 'one two' } },
      { when: { user: 'quick' }, reply: 'Quick\u001b[2J it\u009b31m was.' },
    ],
  });
  const file = join(bench.root, 'tasks.jsonl');
  const tasks = [
    { id: 'bad', prompt: 'fail' },
    ...running.map((id) => ({ id, prompt: 'for ever' })),
    ...['wait-1', 'wait-2', 'wait-3'].map((id) => ({ id, prompt: 'quick' })),
    { id: 'later', prompt: 'quick', after: ['bad'] },
  ];
  await writeFile(file, tasks.map((task) => `${JSON.stringify(task)}\n`).join(''));
  const place = ['--directory', bench.workspace.path, '--opencode-config', bench.configFile, '--run-dir', join(bench.root, 'run')];
  const prices = join(bench.root, 'prices.json');
  await writeFile(prices, JSON.stringify({ 'scripted/model': { input: 3, output: 15 } }));
  run = bench.start(['run', file, ...place, '--prices', prices, '--concurrency', String(crowd), '--json']);
  launch = await run.record('launch');
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await run[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const ctl = (...args: string[]) => runClient(bench, 'ctl', ...args);
const named = () => ['--run', String(launch['run_dir'])];
const show = async () => (await ctl('run', 'show', '--json')).records[0]!;
const tasks = async (...more: string[]) => (await ctl('task', 'list', ...named(), ...more, '--json')).records;
const keysIn = async (state: string) => (await tasks('--state', state)).map(({ key }) => key as string);

test('a run answers as soon as its launch is told; all its tasks are listed', async () => {
  expect(await show()).toMatchObject({ type: 'run', id: launch['run'], run_dir: launch['run_dir'], pid: run.pid, concurrency: crowd });
  await expect.poll(() => keysIn('running'), { timeout: 60_000, interval: 200 }).toEqual(running);
  expect((await tasks()).map(({ key, state }) => [key, state]).filter(([, state]) => state !== 'running')).toEqual([
    ['bad', 'failed'],
    ['wait-1', 'queued'],
    ['wait-2', 'queued'],
    ['wait-3', 'queued'],
    ['later', 'skipped'],
  ]);
  expect(await show()).toMatchObject({ state: 'running', running: crowd, waiting: 3, counts: { outcomes: { failed: 1 }, skipped: 1 } });
  expect((await ctl('run', 'show', ...named().slice(1))).stdout).toContain('  nothing starts: all 50 slots are in use\n');
  expect(await ctl('task', 'list', '--state', 'runing', ...named())).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('running'),
  });
  const { stdout } = await ctl('task', 'show', 'run-1', 'later', ...named());
  expect(stdout).toMatch(/^run-1 {2}running, attempt 1\n {2}session ses_\w+\nlater {2}skipped\n {2}bad did not succeed\n$/);
});

test('the socket answers what docs/control.md asks it', async () => {
  const docs = await readFile(new URL('../../../docs/control.md', import.meta.url), 'utf8');
  const asked = /```sh\n((?:curl --silent [^\n]+\n)+)```/.exec(docs)![1]!.trim().split('\n');
  expect(asked).toHaveLength(3);
  const answers = asked.map(
    async (line) => (await promisify(execFile)('sh', ['-c', line], { env: { ...process.env, SOCKET: launch['socket'] } })).stdout,
  );
  const [about, sessions, runs] = (await Promise.all(answers)).map((answer) => JSON.parse(answer));
  expect(about).toMatchObject({ protocol: 1, pid: launch['pid'], pool: { state: 'running', max_sessions: crowd, active: crowd } });
  expect(sessions).toContainEqual(expect.objectContaining({ title: 'run-1', state: 'active', task_id: 'run-1' }));
  expect(runs).toMatchObject([{ id: launch['run'], state: 'running', running: crowd, summary: null }]);
});

test('fewer at once end nothing; what is paused starts nothing, and says so', async () => {
  expect((await ctl('run', 'pause', '--json')).records).toMatchObject([{ type: 'run.paused', run: launch['run'], changed: true }]);
  await expect
    .poll(async () => (await runClient(bench, 'status', launch['run_dir'])).stdout)
    .toContain('nothing starts: the run is paused');
  expect((await ctl('run', 'pause')).stdout).toBe(`${launch['run']} was paused already\n`);
  expect((await ctl('config', 'set', 'concurrency=3', ...named())).stdout).toBe('concurrency 50 -> 3\n');
  const { stdout } = await ctl('config', 'set', 'concurrency=60', 'timeout=20m', ...named());
  expect(stdout).toBe('concurrency 3 -> 60\ntimeout none -> 20 m 00 s, for attempts that start from now on\n');
  expect(await show()).toMatchObject({ state: 'paused', running: crowd, holding: 'the run is paused', timeout_ms: 1_200_000 });
  expect(await ctl('config', 'set', 'concurrency=70', 'color=red', ...named())).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('"color=red" is no setting of a live run'),
  });
  expect(await show()).toMatchObject({ concurrency: 60 });
});

test('budgets change, and providers are paused and go on; with one that is unknown nothing is changed', async () => {
  expect((await ctl('config', 'set', 'tokens=9000000', 'usd=25', ...named())).stdout).toBe(
    'tokens none -> 9,000,000\nusd none -> $25.00\n',
  );
  expect(await show()).toMatchObject({ limits: { tokens: 9_000_000, usd: 25 }, spent: { usd: 0 } });
  expect((await ctl('config', 'set', 'usd=none', ...named())).stdout).toBe('usd $25.00 -> none\n');
  expect((await ctl('provider', 'list', ...named(), '--json')).records).toMatchObject([
    { type: 'provider', id: 'scripted', running: crowd, is_paused: false, held_until: null },
  ]);
  expect(await ctl('provider', 'pause', 'scripted', 'nobody', ...named())).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('PROVIDER_UNKNOWN'),
  });
  const paused = 'paused: what runs goes on, and nothing that asks it starts';
  expect((await ctl('provider', 'pause', 'scripted', ...named())).stdout).toBe(`scripted ${paused}\n`);
  expect((await ctl('provider', 'pause', 'scripted', ...named())).stdout).toBe('scripted was paused already\n');
  expect((await ctl('provider', 'resume', 'scripted', ...named())).stdout).toBe('scripted goes on\n');
});

test('tasks are cancelled, all of those that are named or none', async () => {
  const unknown = await ctl('task', 'cancel', 'run-1', 'nothing', ...named());
  expect(unknown).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('TASK_UNKNOWN: The run has no task nothing.') });
  expect((await ctl('task', 'cancel', 'run-1', 'wait-1', 'bad', ...named())).stdout).toBe(
    'run-1  cancelled: its attempt is being aborted\nwait-1  cancelled\nbad  unchanged: it has come to its end\n',
  );
  await expect.poll(() => keysIn('aborted'), { timeout: 30_000 }).toEqual(['run-1']);
  expect(await keysIn('cancelled')).toEqual(['wait-1']);
  expect((await ctl('task', 'cancel', 'wait-1', ...named())).stdout).toBe('wait-1  unchanged: it is cancelled already\n');
  await run.record('task.skipped', ({ id, cancelled }) => id === 'wait-1' && cancelled === true);
});

test('a task that has failed is tried again, and what waited for it; the journal is followed from a number', async () => {
  const before = (await ctl('task', 'events', '--json', ...named())).records.at(-1)!['seq'] as number;
  await using follower = bench.start(['ctl', 'task', 'events', 'bad', 'wait-2', '--follow', '--since', String(before), ...named()]);
  expect(
    (await ctl('task', 'requeue', 'bad', 'run-2', 'later', ...named(), '--json')).records.map(({ key, change, why }) => [key, change, why]),
  ).toEqual([
    ['bad', 'requeued', null],
    ['run-2', 'none', 'it runs'],
    ['later', 'none', expect.any(String)],
  ]);
  expect((await ctl('run', 'resume')).stdout).toBe(`${launch['run']} goes on\n`);
  await expect.poll(() => follower.stdout, { timeout: 30_000 }).toMatch(/task\.requeued +bad\n[^]*attempt\.ended +bad +attempt 2 .*failed/);
  await expect.poll(() => follower.stdout, { timeout: 30_000 }).toContain('succeeded Quick\u241b[2J it\ufffd31m was.');
  // Of what agents and servers say nothing steers the terminal.
  // oxlint-disable-next-line no-control-regex -- that there are none is the point
  expect(follower.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  follower.signal('SIGINT');
  expect(await follower.exit).toBe(130);
  await run.record('task.requeued', ({ id }) => id === 'bad');
  await expect.poll(() => keysIn('succeeded'), { timeout: 30_000 }).toEqual(['wait-2', 'wait-3']);
});

test('fewer at once that are enforced abort the newest, which wait then', async () => {
  expect((await ctl('config', 'set', 'concurrency=45', '--enforce', ...named())).stdout).toBe('concurrency 60 -> 45\n');
  await expect.poll(async () => (await keysIn('running')).length, { timeout: 30_000 }).toBe(45);
  expect(await keysIn('queued')).toEqual(running.slice(-4));
});

test('a run that is cancelled ends in order; nothing is left to control, and a resume knows what was cancelled', async () => {
  expect((await ctl('run', 'cancel', ...named().slice(1))).stdout).toBe(`${launch['run']} ends: what runs is aborted\n`);
  expect(await run.exit).toBe(1);
  expect(run.records.at(-1)).toMatchObject({ type: 'done', total: 55, reason: 'aborted' });
  expect(await ctl('run', 'show', ...named().slice(1))).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('RUN_NOT_LIVE') });
  const resume = await runClient(bench, 'resume', String(launch['run_dir']), '--dry-run', '--json');
  const lines = new Map(resume.records.map((line) => [line['key'] ?? line['id'], line['decision']]));
  expect(['run-1', 'run-2', 'wait-1', 'wait-2', 'bad'].map((key) => [key, lines.get(key)])).toEqual([
    ['run-1', 'skip'],
    ['run-2', 'run'],
    ['wait-1', 'skip'],
    ['wait-2', 'reuse'],
    ['bad', 'skip'],
  ]);
}, 60_000);
