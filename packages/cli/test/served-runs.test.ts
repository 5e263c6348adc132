import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openBench, runClient, type Bench, type Record_, type Running } from './support/ocm.ts';

let bench: Bench;
let serve: Running;
let launch: Record_;

beforeAll(async () => {
  bench = await openBench({
    rules: [
      { when: { user: 'go wrong' }, reply: { error: { status: 400, message: 'no' } } },
      { when: { user: 'for ever' }, reply: { fault: 'hang-mid-stream', text: 'one two' } },
      { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
    ],
  });
  serve = bench.start([
    'serve',
    '--directory',
    bench.workspace.path,
    '--opencode-config',
    bench.configFile,
    '--concurrency',
    '3',
    '--json',
  ]);
  launch = await serve.record('launch');
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await serve[Symbol.asyncDispose]();
  await rm(`${bench.workspace.path}.ocm`, { recursive: true, force: true });
  await bench[Symbol.asyncDispose]();
});

const on = (...more: string[]) => ['--on', String(serve.pid), '--directory', bench.workspace.path, ...more];
const ctl = (...args: string[]) => runClient(bench, 'ctl', ...args);

async function fileOf(name: string, prompts: readonly string[]): Promise<string> {
  const file = join(bench.root, `${name}.jsonl`);
  await writeFile(file, prompts.map((prompt, index) => `${JSON.stringify({ id: `task-${index + 1}`, prompt })}\n`).join(''));
  return file;
}

test('a run on a server is told as if it ran here: progress, results, exit code, and its directory', async () => {
  const file = await fileOf('mixed', ['say one', 'go wrong', 'say two']);
  const out = join(bench.root, 'out.jsonl');
  await using run = bench.start(['run', file, ...on('--json', '--out', out)]);
  expect(await run.exit).toBe(1);
  const [first, ...rest] = run.records;
  expect(first).toMatchObject({ type: 'launch', pid: serve.pid, total: 3, concurrency: 3 });
  const finished = rest.filter(({ type }) => type === 'task.finished').map(({ id, outcome, output }) => [id, outcome, output]);
  expect(finished.toSorted(([one], [other]) => String(one).localeCompare(String(other)))).toEqual([
    ['task-1', 'succeeded', 'You said one.'],
    ['task-2', 'failed', ''],
    ['task-3', 'succeeded', 'You said two.'],
  ]);
  expect(rest.at(-1)).toMatchObject({ type: 'done', total: 3, succeeded: 2, failed: 1, exit_code: 1, run: first!['run'], attempts: 3 });
  expect(await readdir(first!['run_dir'])).toEqual(expect.arrayContaining(['journal.sqlite', 'results.jsonl', 'run.json', 'tasks.jsonl']));
  // Whoever takes it up starts a server like that one: nothing of the tasks looks changed.
  const resume = await runClient(bench, 'resume', first!['run_dir'], '--dry-run', '--json');
  expect(resume.records.flatMap(({ decision }) => (decision === undefined ? [] : [decision]))).toEqual(['reuse', 'skip', 'reuse']);
});

test('a prompt alone prints its answer', async () => {
  await using run = bench.start(['run', '--prompt', 'say hello', ...on()]);
  expect([await run.exit, run.stdout]).toEqual([0, 'You said hello.\n']);
});

test('two runs share the slots of the server, under the same keys', async () => {
  const file = await fileOf('hanging', ['for ever', 'for ever']);
  await using one = bench.start(['run', file, ...on('--json')]);
  const first = await one.record('launch');
  for (const id of ['task-1', 'task-2']) await one.record('task.started', (record) => record['id'] === id);
  await using other = bench.start(['run', file, ...on('--json')]);
  const second = await other.record('launch');
  await other.record('task.started');
  // Three slots: the fourth attempt waits for one.
  expect(other.records.filter(({ type }) => type === 'task.started')).toHaveLength(1);
  expect((await ctl('run', 'show', second['run_dir'], '--json')).records[0]).toMatchObject({ state: 'running', pid: serve.pid });
  expect(await ctl('config', 'set', 'usd=5', '--run', first['run_dir'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('MODEL_UNPRICED: Task task-1: opencode knows no price of scripted/model'),
  });

  one.signal('SIGINT');
  expect(await one.exit).toBe(130);
  expect(one.stderr).toContain(`The run goes on in process ${serve.pid}. To look at it: ocm status `);
  expect((await runClient(bench, 'status', first['run_dir'])).stdout).toContain('running');

  other.signal('SIGINT');
  await expect.poll(() => other.stderr).toContain('again within 2 s cancels it');
  await new Promise((resolve) => setTimeout(resolve, 400));
  other.signal('SIGINT');
  expect(await other.exit).toBe(130);
  expect(other.records.at(-1)).toMatchObject({ type: 'done', reason: 'aborted', run: second['run'] });
  expect((await ctl('run', 'cancel', first['run_dir'])).exitCode).toBe(0);
  await expect.poll(async () => (await runClient(bench, 'status', first['run_dir'])).stdout, { timeout: 30_000 }).toContain('aborted');
}, 90_000);

test('what the server cannot have is refused by its name, and nothing is made', async () => {
  const runs = async () => (await readdir(`${bench.workspace.path}.ocm`)).length;
  const before = await runs();
  const elsewhere = await mkdtemp(join(tmpdir(), 'ocm-elsewhere-'));
  const file = await fileOf('plain', ['say one']);
  const pid = String(serve.pid);
  for (const [args, named] of [
    [['--directory', elsewhere], `The run works in ${elsewhere}, and this server is for ${bench.workspace.path}.`],
    [
      ['--directory', bench.workspace.path, '--opencode-config', bench.configFile],
      '--opencode-config cannot be had with --on: the server is started already',
    ],
    [['--directory', bench.workspace.path, '--workspace', 'clone'], '--workspace clone cannot be had with --on'],
  ] as const) {
    const refused = await runClient(bench, 'run', file, '--on', pid, ...args);
    expect(refused).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining(`RUN_UNSUITED: ${named}`) });
  }
  expect(await runs()).toBe(before);
  await rm(elsewhere, { recursive: true });
});

test('a server that stops ends its runs in order; they are gone on with elsewhere', async () => {
  const file = await fileOf('stopped', ['for ever', 'say one']);
  await using run = bench.start(['run', file, ...on('--json')]);
  const { run_dir: path } = await run.record('launch');
  await run.record('task.finished', ({ id }) => id === 'task-2');
  serve.signal('SIGTERM');
  expect(await run.exit).toBe(1);
  expect(run.records.at(-1)).toMatchObject({ type: 'done', reason: 'aborted', succeeded: 1 });
  expect(await serve.exit).toBe(143);
  expect((await runClient(bench, 'resume', path, '--explain')).stdout).toMatch(/task-1 +run/);
  await expect(readdir(launch['state_dir'])).rejects.toThrow('ENOENT');
}, 60_000);
