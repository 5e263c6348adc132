import { execFileSync } from 'node:child_process';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectNoProcess, openBench, type Bench, type Record_ } from './support/ocm.ts';

const bash = (command: string) => ({ toolCalls: [{ name: 'bash', arguments: { command, description: 'run it' } }] });

let bench: Bench;
let file: string;
let out: string;
beforeAll(async () => {
  bench = await openBench({
    rules: [
      { when: { user: /^write (\S+)/, afterTool: 'bash' }, reply: 'Wrote {{user.1}}.' },
      { when: { user: /^write (\S+)/ }, reply: bash('echo written > {{user.1}}.txt') },
      { name: 'slow', when: { user: /^slow/ }, reply: { text: 'word '.repeat(200), tokensPerSecond: 10 }, times: 1 },
      { name: 'brief', when: { user: /^brief/ }, reply: { text: 'word '.repeat(20), tokensPerSecond: 10 } },
      { when: { user: /^(?:slow|say)/ }, reply: 'Said.' },
    ],
  });
  file = join(bench.root, 'tasks.jsonl');
  out = join(bench.root, 'out.jsonl');
});
afterAll(() => bench[Symbol.asyncDispose]());

const tasks = [
  { id: 'one', prompt: 'write one' },
  { id: 'long', prompt: 'slow', workspace: 'shared' },
  { id: 'behind', prompt: 'say behind', after: ['one'], workspace: 'shared' },
  { id: 'last', prompt: 'say last', after: ['long'], repeat: 2, workspace: 'shared' },
];
const write = (all: readonly object[]) => writeFile(file, all.map((task) => `${JSON.stringify(task)}\n`).join(''));
const lines = async (path: string) =>
  (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record_);

async function ocm(...args: string[]) {
  await using run = bench.start([...args]);
  const exitCode = await run.exit;
  return { exitCode, stdout: run.stdout, stderr: run.stderr, records: args.includes('--json') ? run.records : [] };
}
const where = () => ['--directory', bench.workspace.path];

test('a run whose manager is killed is taken up: what it had done is used again, and nothing is asked twice', async () => {
  await write(tasks);
  const options = ['--opencode-config', bench.configFile, '--permissions', 'allow', '--workspace', 'clone', '--out', out];
  const run = bench.start(['run', file, ...where(), ...options, '--json']);
  const launch = await run.record('launch');
  await run.record('task.finished', ({ id }) => id === 'behind');
  await bench.model.waitForCalls(1, { rule: 'slow', timeoutMs: 20_000 });
  run.signal('SIGKILL');
  await run.exit;

  const explained = await ocm('resume', ...where(), '--explain', '--json');
  const planned = Object.fromEntries(explained.records.map(({ id, decision }) => [id, decision]));
  expect(planned).toMatchObject({ one: 'reuse', behind: 'reuse', long: 'look', 'last#1': 'run', 'last#2': 'run' });
  expect(bench.model.calls.filter(({ rule }) => rule === 'slow')).toHaveLength(1);

  await write([{ ...tasks[0], prompt: 'write another' }, ...tasks.slice(1)]);
  const changed = await ocm('resume', ...where());
  expect([changed.exitCode, changed.stderr]).toEqual([2, expect.stringMatching(/TASKS_CHANGED.*one.*prompt/s)]);

  // The task file is read again: its order and what is not part of an answer may differ.
  await write(tasks.toReversed().map((task) => Object.assign({ metadata: { again: true } }, task)));
  const summary = join(bench.root, 'summary');
  const resumed = await ocm('resume', launch['run'] as string, ...where(), '--json', '--on-done', `cat > ${summary}`);
  expect([resumed.exitCode, resumed.stderr]).toEqual([0, expect.stringContaining('5 of 5 tasks succeeded, 2 of them from before')]);
  const finished = resumed.records.filter(({ type }) => type === 'task.finished').map(({ id, attempt }) => [id, attempt]);
  expect(Object.fromEntries(finished)).toEqual({ long: 2, 'last#1': 1, 'last#2': 1 });
  expect(resumed.records.at(-1)).toMatchObject({
    total: 5,
    succeeded: 5,
    reused: 2,
    succeeded_first_try: 5,
    run: launch['run'],
    reason: 'done',
  });

  expect(JSON.parse(await readFile(summary, 'utf8'))).toMatchObject({ type: 'done', total: 5, succeeded: 5 });

  const written = await lines(out);
  expect(written.map(({ id }) => id as string).toSorted()).toEqual(['behind', 'last#1', 'last#2', 'long', 'one']);
  // The patch of a task that was done before the kill is where its result says.
  expect(await readFile(written.find(({ id }) => id === 'one')!['patch'], 'utf8')).toContain('+written');
  const results = await lines(join(launch['run_dir'], 'results.jsonl'));
  expect(results.filter(({ final }) => final === true)).toHaveLength(5);
  expect(new Set(await readdir(launch['run_dir'])).has('state')).toBe(false);
  const refs = execFileSync('git', ['-C', bench.workspace.path, 'for-each-ref', '--format=%(refname)'], { encoding: 'utf8' });
  expect(refs).toMatch(new RegExp(`refs/ocm/${launch['run']}/one-[0-9a-f]{8}/1\n`));
  await expectNoProcess(launch['run_id']);

  const again = await ocm('resume', launch['run'] as string, ...where());
  expect([again.exitCode, again.stdout]).toEqual([0, '']);
  expect(again.stderr).not.toContain('Starting');
  await bench.expectNothingLeft();

  const refused = await ocm('run', '--prompt', 'say it', ...where(), '--detach');
  expect([refused.exitCode, refused.stderr]).toEqual([2, expect.stringContaining('--run-dir')]);
}, 120_000);

test('a run whose directory is removed ends with a named error, and sends nobody to what is gone', async () => {
  bench.model.reset();
  await write([{ id: 'long', prompt: 'brief' }]);
  const run = bench.start(['run', file, ...where(), '--opencode-config', bench.configFile, '--json']);
  const launch = await run.record('launch');
  await bench.model.waitForCalls(1, { rule: 'brief', timeoutMs: 20_000 });
  await rm(launch['run_dir'], { recursive: true, force: true });
  expect(await run.exit, run.stderr).toBe(6);
  expect(run.records.at(-1)).toMatchObject({ type: 'done', succeeded: 0, exit_code: 6 });
  expect(run.stderr).toContain('RUN_GONE');
  expect(run.stderr).not.toMatch(/ocm resume|ocm show|^ {4}at /m);
  await expectNoProcess(launch['run_id']);
}, 120_000);
