import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { opencodeUnderTest, temporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { runHere } from './support/terminal.ts';
import { openSynthetic, syntheticAnswer, type Synthetic } from './support/synthetic.ts';
import { allArguments, expectNoProcess, openBench, passwordOf, recordingPasswords, runClient, type Bench } from './support/ocm.ts';

const { by } = opencodeUnderTest();

let bench: Bench;
/** In place of opencode where a test is about the command alone. */
let synthetic: Synthetic;
beforeAll(async () => {
  bench = await openBench({
    rules: [
      { when: { user: 'go wrong' }, reply: { error: { status: 400, message: 'no such thing' } } },
      {
        when: { user: 'use echo' },
        reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'echo hello', description: 'Say' } }] }, 'Said.'],
      },
      {
        when: { user: 'use touch' },
        reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'touch x', description: 'Make' } }] }, 'Was not allowed.'],
      },
      { when: { user: 'take your time' }, reply: { text: 'word '.repeat(8), tokensPerSecond: 4 } },
      { when: { user: /number (\d+)/ }, reply: 'It was {{user.1}}.' },
    ],
  });
  synthetic = await openSynthetic(bench);
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(async () => {
  await synthetic[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const base = () => ['--directory', bench.workspace.path, '--opencode-config', bench.configFile];

describe('ocm run --json', () => {
  test('runs a file to its end and leaves nothing behind', async () => {
    const file = join(bench.root, 'tasks.jsonl');
    const out = join(bench.root, 'results.jsonl');
    await writeFile(
      file,
      [
        '{"id":"one","prompt":"number 1","metadata":{"split":"a"}}',
        '{"instance_id":"bad","problem_statement":"go wrong","repo":"x"}',
        '{"id":"first","prompt":"number 3","priority":9}',
      ].join('\n'),
    );
    await writeFile(out, 'results of another run\n');
    await using run = bench.start(['run', file, ...base(), '--concurrency', '1', '--out', out, '--overwrite', '--json'], {
      env: await recordingPasswords(bench),
    });
    const launch = await run.record('launch');
    const password = await passwordOf(bench, launch.server.pid);
    expect(await allArguments()).not.toContain(password);
    expect(await run.exit).toBe(1);

    const records = run.records;
    expect(records.map(({ type, id }) => [type, id])).toEqual([
      ['launch', undefined],
      ['task.started', 'first'],
      ['task.finished', 'first'],
      ['task.started', 'one'],
      ['task.finished', 'one'],
      ['task.started', 'bad'],
      ['task.finished', 'bad'],
      ['done', undefined],
    ]);
    expect(launch).toEqual({
      type: 'launch',
      schema_version: 1,
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      pid: run.pid,
      server: {
        pid: expect.any(Number),
        url: launch.url,
        version: expect.stringMatching(by({ v1: /^1\./, v2: /^2\./ })),
        protocol: by({ v1: 'v1', v2: 'v2' }),
      },
      run_id: expect.any(String),
      run: expect.stringMatching(/^\d{8}T\d{6}Z-tasks-[0-9a-f]{4}$/),
      run_dir: join(`${bench.workspace.path}.ocm`, launch.run),
      state_dir: join(`${bench.workspace.path}.ocm`, launch.run, 'state'),
      directory: bench.workspace.path,
      profile: 'batch',
      concurrency: 1,
      socket: expect.stringMatching(/\.sock$/),
      tool_home: 'private',
      git: { source: 'user', keys: [] },
      network: { passed: expect.any(Array), withheld: [] },
      npm: { online: false, packages: [] },
      parts: [{ kind: 'provider', name: 'scripted', status: 'alive' }],
      notes: [],
    });
    const finished = records.filter(({ type }) => type === 'task.finished');
    expect(finished.map(({ id, outcome, output, attempt }) => ({ id, outcome, output, attempt }))).toEqual([
      { id: 'first', outcome: 'succeeded', output: 'It was 3.', attempt: 1 },
      { id: 'one', outcome: 'succeeded', output: 'It was 1.', attempt: 1 },
      { id: 'bad', outcome: 'failed', output: '', attempt: 1 },
    ]);
    for (const field of ['session_id', 'usage', 'cost_usd', 'duration_ms', 'queued_ms', 'proof', 'asks', 'gaps', 'error', 'metadata'])
      expect(finished[1]).toHaveProperty(field);
    expect(finished[1]!.metadata).toEqual({ split: 'a' });
    expect(Object.keys(finished[1]!.proof)).toEqual(['final_message', 'session_idle', 'children_quiet', 'no_pending_ask']);
    expect(finished[2]!.error).toMatchObject({ code: 'TURN_FAILED', message: 'no such thing' });
    expect(records.at(-1)).toMatchObject({
      type: 'done',
      total: 3,
      succeeded: 2,
      failed: 1,
      timed_out: 0,
      not_started: 0,
      signal: null,
      exit_code: 1,
      clean: true,
      state_deleted: true,
    });

    const written = (await readFile(out, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; outcome: string });
    expect(written.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['first', 'succeeded'],
      ['one', 'succeeded'],
      ['bad', 'failed'],
    ]);
    expect(run.stderr).toContain('fields that a task does not have are left out: repo\n');
    expect(run.stdout + run.stderr + written.map((line) => JSON.stringify(line)).join()).not.toContain(password);
    await expectNoProcess(launch.run_id);
    await expect(stat(launch.state_dir)).rejects.toThrow('ENOENT');
    await bench.expectNothingLeft();
  });
});

test('ocm run prints the answer of one prompt alone on stdout, and does not wait for standard input', async () => {
  await using run = bench.start(['run', '--prompt', 'number 42', ...base(), ...synthetic.args]);
  expect(await run.exit).toBe(0);
  expect(run.stdout).toBe(`${syntheticAnswer}\n`);
  expect(run.stderr).toContain('1 of 1 task succeeded');
  expect(run.stderr).not.toContain('\u001B');
  await bench.expectNothingLeft();
});

test('ocm run - reads the tasks from standard input', async () => {
  await using run = bench.start(['run', '-', ...base(), ...synthetic.args]);
  run.child.stdin!.end('{"id":"a","prompt":"number 6"}\n{"id":"b","prompt":"number 7"}\n');
  expect(await run.exit).toBe(0);
  for (const id of ['a', 'b']) expect(run.stdout).toMatch(new RegExp(`^${id} {2}succeeded {2}.*\\n${syntheticAnswer}\\n\\n`, 'm'));
});

test('ocm run answers asks by the rules of a file and tells each; --max-idle-directories 0 makes the server forget a directory after its task', async () => {
  await using other = await temporaryWorkspace();
  const config = join(bench.root, 'asking.jsonc');
  await writeFile(config, JSON.stringify({ ...bench.model.opencodeConfig(), permission: { bash: 'ask' } }));
  const rules = join(bench.root, 'rules.jsonc');
  await writeFile(rules, '[{ "permission": "bash", "pattern": "echo *", "action": "allow" }, ] // the rest is denied');
  const file = join(bench.root, 'directories.jsonl');
  // The first one gives time to subscribe; the last one keeps the server until its event is told.
  const asking = [
    { id: 'echo', prompt: 'use echo' },
    { id: 'touch', prompt: 'use touch' },
  ];
  const slow = (id: string) => ({ id, prompt: 'take your time' });
  const tasks = [slow('first'), ...asking, { prompt: 'number 1', directory: other.path }, slow('last')];
  await writeFile(file, tasks.map((task) => JSON.stringify(task)).join('\n'));
  const options = ['--opencode-config', config, '--permissions', rules, '--concurrency', '1', '--max-idle-directories', '0'];
  await using run = bench.start(['run', file, ...base(), ...options, '--json']);
  await run.record('launch');
  const events = await runClient(bench, 'events', '--type', 'server.disposed', '--limit', '1', '--json');
  expect(events.exitCode).toBe(0);
  // opencode 2 forgets none.
  const disposed = expect.objectContaining({ type: 'server.disposed', directory: other.path }) as object;
  expect(events.records).toEqual(by({ v1: [disposed], v2: [] }));
  expect(await run.exit).toBe(0);
  const asks = run.records.filter(({ type }) => type === 'task.finished').map(({ id, asks: given }) => [id, given]);
  expect(Object.fromEntries(asks)).toMatchObject({
    echo: [{ kind: 'permission', permission: 'bash', answer: 'allowed' }],
    touch: [{ kind: 'permission', permission: 'bash', answer: 'denied' }],
  });
  expect(await bench.workspace.changedFiles()).toEqual([]);
});

describe('exit code 2, before anything starts', () => {
  test.each<[string, () => string[], string]>([
    ['nothing to run', () => [], 'There is nothing to run.'],
    ['a missing file', () => ['nowhere.jsonl'], 'FILE: nowhere.jsonl does not exist.'],
    ['a missing directory', () => ['--prompt', 'x', '--directory', '/nowhere', '--model', 'scripted/model'], 'DIRECTORY_MISSING'],
    ['a bad number', () => ['--prompt', 'x', '--concurrency', '0'], '--concurrency: "0" is not a whole number from 1 to 1000.'],
    ['a bad limit of an answer', () => ['--prompt', 'x', '--max-answer', '50'], '--max-answer: "50" is not a size'],
    ['a bad size', () => ['--prompt', 'x', '--max-server-memory', '2G'], '--max-server-memory: "2G" is not a size'],
    ['no number', () => ['--prompt', 'x', '--max-idle-directories', 'few'], '--max-idle-directories: "few" is not a whole number from 0'],
    ['a bad duration', () => ['--prompt', 'x', '--timeout', '5'], '--timeout: "5" is not a usable duration'],
    ['a bad model', () => ['--prompt', 'x', '--model', 'sonnet'], '--model: "sonnet" must be written provider/model'],
    ['an empty prompt', () => ['--prompt', ''], '--prompt has a bad line'],
    ['a file taken for a prompt', () => ['--prompt', 'x', bench.configFile], 'would be sent as a prompt'],
    ['missing rules', () => ['--prompt', 'x', '--permissions', 'nowhere.json'], '--permissions: nowhere.json does not exist.'],
    [
      'an unwritable output',
      () => ['--prompt', 'x', ...base(), '--out', '/nowhere/out.jsonl'],
      '--out: /nowhere/out.jsonl cannot be written (ENOENT: no such file or directory).',
    ],
    ['a missing opencode configuration', () => ['--prompt', 'x', '--opencode-config', 'nowhere.json'], 'OPENCODE_CONFIG_INVALID'],
    ['a missing auth file', () => ['--prompt', 'x', ...base(), '--auth-file', '/nowhere/auth.json'], 'AUTH_FILE_INVALID'],
  ])('for %s', async (_name, args, message) => {
    const { exitCode, stdout, stderr } = await runHere('run', ...args());
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('for bad lines, which are all listed', async () => {
    const file = join(bench.root, 'bad.jsonl');
    await writeFile(file, '{"prompt":"fine"}\n{"prompt":""}\nnot json\n');
    const run = await runClient(bench, 'run', file, ...base(), '--json');
    expect(run.exitCode).toBe(2);
    expect(run.records).toEqual([
      {
        type: 'error',
        schema_version: 1,
        error: expect.objectContaining({ code: 'TASK_INVALID', details: { lines: [2, 3], problems: 2 } }),
      },
    ]);
    expect(run.stderr).toMatch(/line 2: prompt: is empty\n {2}line 3: not JSON/);
  });

  test('for a mistyped option in --config', async () => {
    const file = join(bench.root, 'server.jsonc');
    await writeFile(file, '{ "opencodeConfg": {}, } // a comment');
    const run = await runHere('run', '--prompt', 'x', '--config', file);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('CONFIG_KEY_UNKNOWN: Option opencodeConfg does not exist. Did you mean opencodeConfig?');
  });

  test('for a workspace with plugins', async () => {
    const workspace = join(bench.root, 'untrusted');
    await mkdir(join(workspace, '.git'), { recursive: true });
    await mkdir(join(workspace, '.opencode', 'plugin'), { recursive: true });
    await writeFile(join(workspace, '.opencode', 'plugin', 'x.js'), 'export const X = async () => ({})');
    const run = await runClient(bench, 'run', '--prompt', 'x', ...base(), '--directory', workspace);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('WORKSPACE_UNTRUSTED');
    await bench.expectNothingLeft();
  });
});

test("exit code 2 for a task's workspace with plugins, before the first prompt", async () => {
  const workspace = join(bench.root, 'untrusted-task');
  await mkdir(join(workspace, '.git'), { recursive: true });
  await mkdir(join(workspace, '.opencode', 'plugins'), { recursive: true });
  await writeFile(join(workspace, '.opencode', 'plugins', 'x.js'), 'export const X = async () => ({})');
  const file = join(bench.root, 'untrusted.jsonl');
  await writeFile(file, `{"prompt":"number 1"}\n{"prompt":"number 2","directory":${JSON.stringify(workspace)}}\n`);
  await using run = bench.start(['run', file, ...base(), ...synthetic.args, '--json']);
  expect(await run.exit).toBe(2);
  expect(run.records.map(({ type }) => type)).toEqual(['launch', 'error', 'done']);
  expect(run.records.at(-1)).toMatchObject({ total: 2, succeeded: 0, not_started: 2, exit_code: 2, clean: true });
  expect(run.stderr).toContain('WORKSPACE_UNTRUSTED');
  await bench.expectNothingLeft();
});

test('exit code 2 at once for a variable to pass that is not set, with the name that is', async () => {
  await using run = bench.start(['run', '--prompt', 'x', ...base(), '--pass-env', 'ANTROPIC_API_KEY'], {
    env: { ANTHROPIC_API_KEY: 'a-secret' },
  });
  expect(await run.exit).toBe(2);
  expect(run.stderr).toContain(
    'error CONFIG_INVALID: Option passEnv (--pass-env): ANTROPIC_API_KEY is not set in the environment of this process. Did you mean ANTHROPIC_API_KEY?',
  );
  expect(run.stderr).not.toContain('a-secret');
  // No server was started.
  expect(run.stderr).not.toContain('opencode 1.');
  await bench.expectNothingLeft();
});

describe('exit code 4, before the first prompt', () => {
  test('when nothing names a model', async () => {
    const run = await runHere('run', '--prompt', 'x', '--directory', bench.workspace.path);
    expect(run.exitCode).toBe(4);
    expect(run.stderr).toContain('No model is named');
  });

  test('when the provider has no credentials; a file that was to be overwritten keeps what it held', async () => {
    const out = join(bench.root, 'kept.jsonl');
    await writeFile(out, 'results of another run\n');
    const line = [
      '--prompt',
      'x',
      '--directory',
      bench.workspace.path,
      '--model',
      'anthropic/claude-sonnet-5',
      '--out',
      out,
      '--overwrite',
    ];
    await using run = bench.start(['run', ...line]);
    expect(await run.exit).toBe(4);
    expect(run.stderr).toContain('Provider anthropic is not usable here');
    expect(run.stderr).toContain('--pass-env ANTHROPIC_API_KEY');
    expect(await readFile(out, 'utf8')).toBe('results of another run\n');
    await bench.expectNothingLeft();
  });
});

describe('exit code 5', () => {
  test.each<[string, string, string]>([
    ['a binary that does not exist', '/nowhere/opencode', 'BINARY_NOT_FOUND'],
    ['a binary that is something else', '/bin/true', 'BINARY_UNUSABLE'],
  ])('for %s', async (_name, binary, code) => {
    const run = await runClient(bench, 'run', '--prompt', 'x', ...base(), '--binary', binary);
    expect(run.exitCode).toBe(5);
    expect(run.stdout).toBe('');
    expect(run.stderr).toContain(`error ${code}: `);
    await bench.expectNothingLeft();
  });
});
