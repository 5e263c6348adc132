import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import {
  allArguments,
  expectNoProcess,
  openBench,
  passwordOf,
  recordingPasswords,
  runClient,
  type Bench,
  type Record_,
  type Running,
} from './support/ocm.ts';
import { openSynthetic } from './support/synthetic.ts';

let bench: Bench;
let serve: Running;
let launch: Record_;
let restarted: Record_;

beforeAll(async () => {
  bench = await openBench({
    rules: [
      {
        when: { user: 'change it' },
        reply: [{ toolCalls: [{ name: 'write', arguments: { filePath: 'README.md', content: '# Changed\n' } }] }, 'Changed.'],
      },
      { when: { user: 'think for ever' }, reply: { fault: 'hang-mid-stream', text: 'one two three four' } },
      {
        when: { user: 'count slowly' },
        reply: { reasoning: 'Up to five.', text: 'one two \u001B[31mthree four five', tokensPerSecond: 10 },
      },
      { when: { user: /echo (.*)/ }, reply: 'You said {{user.1}}.' },
    ],
  });
  serve = bench.start(['serve', '--directory', bench.workspace.path, '--opencode-config', bench.configFile, '--json'], {
    env: await recordingPasswords(bench),
  });
  launch = await serve.record('launch');
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await serve[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const ocm = (...args: string[]) => runClient(bench, ...args);

async function newSession(): Promise<string> {
  const { records, exitCode } = await ocm('prompt', 'new', 'echo hello', '--json');
  expect(exitCode).toBe(0);
  expect(records.map(({ type, outcome, output }) => ({ type, outcome, output }))).toEqual([
    { type: 'session.created', outcome: undefined, output: undefined },
    { type: 'turn.finished', outcome: 'succeeded', output: 'You said hello.' },
  ]);
  return records[0]!['session_id'] as string;
}

test('the first record tells where the server is; the socket is for this user alone', async () => {
  expect(launch).toMatchObject({ type: 'launch', url: launch['server'].url, pid: serve.pid, profile: 'interactive' });
  const socket = await stat(launch['socket']);
  expect(socket.isSocket()).toBe(true);
  expect(socket.mode & 0o777).toBe(0o600);
});

test('sessions are made, listed, prompted and told about', async () => {
  const id = await newSession();
  await using events = bench.start(['events', '--session', id, '--type', 'session.*', '--type', 'message.updated', '--json']);
  await using limited = bench.start(['events', '--session', id, '--limit', '1']);
  // Subscribed only when events come; a rename would do, a prompt does too.
  await expect
    .poll(
      async () => {
        expect((await ocm('prompt', id, 'echo again')).stdout).toBe('You said again.\n');
        // One that comes in the midst of a turn sees what trails its end, and not the end; of the two, either may come first.
        return events.records.some(({ type }) => type === 'session.idle') && limited.stdout !== '';
      },
      { timeout: 30_000 },
    )
    .toBe(true);
  expect(await limited.exit).toBe(0);
  expect(limited.stdout).toMatch(new RegExp(`^ +\\d+ {2}\\S+ +${id}  {`));
  expect(new Set(events.records.map((record) => record['session_id'] as string))).toEqual(new Set([id]));
  events.signal('SIGINT');
  expect(await events.exit).toBe(130);

  const { stdout, records } = await ocm('sessions', '--json');
  expect(records).toContainEqual(
    expect.objectContaining({ type: 'session', id, directory: bench.workspace.path, state: 'idle', parent_id: null }),
  );
  expect((await ocm('sessions')).stdout).toContain(id);
  expect(stdout).not.toContain('password');
});

test('prompt --stream prints the answer while it comes, and what the model thinks apart', async () => {
  const id = await newSession();
  const answer = 'one two ␛[31mthree four five\n';
  await using slow = bench.start(['prompt', id, 'count slowly', '--stream']);
  await expect.poll(() => slow.stdout, { timeout: 20_000 }).toMatch(/^one /);
  expect(slow.stdout).not.toContain('five');
  expect(await slow.exit).toBe(0);
  expect({ stdout: slow.stdout, thought: slow.stderr.split('\n')[0] }).toEqual({ stdout: answer, thought: 'Up to five.' });
  expect(await ocm('prompt', id, 'count slowly', '--stream', '--no-reasoning')).toMatchObject({
    stdout: answer,
    stderr: expect.not.stringContaining('Up to'),
  });
  const { records } = await ocm('prompt', 'new', 'count slowly', '--stream', '--json');
  const textOf = (type: string) => records.flatMap((record) => (record.type === type ? [record['text'] as string] : [])).join('');
  expect([textOf('turn.reasoning'), textOf('turn.text')]).toEqual(['Up to five.', 'one two \u001B[31mthree four five']);
  expect(records.filter(({ type }) => type === 'turn.text').length).toBeGreaterThan(2);
  expect(records.at(-1)).toMatchObject({ type: 'turn.finished', outcome: 'succeeded' });
});

test('a shell line and a command run in a session', async () => {
  const shell = await ocm('shell', 'new', 'pwd', '--', '-P');
  expect({ exitCode: shell.exitCode, stdout: shell.stdout }).toEqual({ exitCode: 0, stdout: `${bench.workspace.path}\n` });
  const failed = await ocm('shell', 'new', 'exit 3');
  expect({ exitCode: failed.exitCode, stderr: failed.stderr }).toEqual({
    exitCode: 1,
    stderr: expect.stringContaining('SHELL_FAILED: The shell line ended with exit code 3.'),
  });
  const id = /session (ses_\w+)/.exec(shell.stderr)![1]!;
  const command = await ocm('command', id, 'nonsense', 'a');
  expect(command.exitCode).toBe(1);
  expect(command.stderr).toContain('COMMAND_UNKNOWN');
});

test('revert takes the files back, and --undo forth', async () => {
  const id = await newSession();
  const readme = join(bench.workspace.path, 'README.md');
  expect((await ocm('prompt', id, 'change it')).stdout).toBe('Changed.\n');
  expect(await readFile(readme, 'utf8')).toBe('# Changed\n');
  expect((await ocm('revert', id)).exitCode).toBe(0);
  expect(await readFile(readme, 'utf8')).toBe('# Bench\n');
  const { records } = await ocm('revert', id, '--undo', '--json');
  expect(records).toEqual([{ type: 'session.unreverted', schema_version: 1, session_id: id }]);
  expect(await readFile(readme, 'utf8')).toBe('# Changed\n');
  expect(await ocm('revert', id, 'msg_unknown')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('MESSAGE_UNKNOWN') });
});

test('abort ends a turn; Ctrl-C on the client does too', async () => {
  const id = await newSession();
  const isActive = async () =>
    (await ocm('sessions', '--json')).records.some((session) => session['id'] === id && session['state'] === 'active');
  // A session whose prompt is aborted before opencode begins it may be set aside: nobody knows whether it will.
  const asked = async () => bench.model.turnCalls.length;
  const before = await asked();
  await using first = bench.start(['prompt', id, 'think for ever']);
  await expect.poll(asked, { timeout: 20_000 }).toBe(before + 1);
  expect(await isActive()).toBe(true);
  expect(await ocm('abort', id)).toMatchObject({ exitCode: 0, stdout: `${id} is idle.\n` });
  expect(await first.exit).toBe(1);
  expect(first.stderr).toContain('aborted');

  await using second = bench.start(['prompt', id, 'think for ever']);
  await expect.poll(asked, { timeout: 20_000 }).toBe(before + 2);
  expect(await isActive()).toBe(true);
  second.signal('SIGINT');
  expect(await second.exit).toBe(130);
  await expect.poll(isActive, { timeout: 20_000 }).toBe(false);
});

test('session delete takes sessions away, aborts a turn of a client, and may be repeated', async () => {
  const [idle, busy] = [await newSession(), await newSession()];
  const listed = async () => (await ocm('sessions', '--json')).records;
  await using turn = bench.start(['prompt', busy, 'think for ever']);
  await expect.poll(async () => (await listed()).find(({ id }) => id === busy)?.['state'], { timeout: 20_000 }).toBe('active');
  expect(await ocm('session', 'delete', idle, busy)).toMatchObject({ exitCode: 0, stdout: `${idle}  deleted\n${busy}  deleted\n` });
  expect(await turn.exit).toBe(1);
  const ids = (await listed()).map(({ id }) => id as string);
  expect(ids).not.toContain(idle);
  expect(ids).not.toContain(busy);
  const again = await ocm('session', 'delete', idle, '--json');
  expect(again).toMatchObject({ exitCode: 0, records: [{ type: 'session.delete', session_id: idle, outcome: 'absent', error: null }] });
  expect(await ocm('prompt', idle, 'echo hello')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('NOT_FOUND') });
});

test('errors keep their code across the socket', async () => {
  expect(await ocm('prompt', 'ses_unknown', 'hello')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('error NOT_FOUND: ') });
  const { records, exitCode } = await ocm('abort', 'nonsense', '--json');
  expect(exitCode).toBe(1);
  expect(records).toEqual([
    { type: 'error', schema_version: 1, error: expect.objectContaining({ name: 'OpencodeManagerError', code: 'NOT_FOUND' }) },
  ]);
});

test('a manager is named by its process id; attach needs a terminal', async () => {
  expect((await ocm('sessions', '--manager', String(serve.pid))).exitCode).toBe(0);
  expect(await ocm('sessions', '--manager', '1')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/MANAGER_NOT_FOUND: No manager runs under the process id 1\. Start one with: ocm serve/),
  });
  expect(await ocm('attach')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('needs a terminal') });
});

test('with two managers, one must be named', async () => {
  await using synthetic = await openSynthetic(bench);
  await using other = bench.start(['serve', '--directory', bench.workspace.path, ...synthetic.args, '--json']);
  await other.record('launch');
  const unnamed = await ocm('sessions');
  expect(unnamed).toMatchObject({ exitCode: 2, stdout: '' });
  expect(unnamed.stderr).toContain('2 managers are running; name one with --manager PID:');
  for (const pid of [serve.pid, other.pid]) expect(unnamed.stderr).toContain(`  ${pid}  ${bench.workspace.path}  since `);
  expect(await ocm('sessions', '--manager', String(other.pid))).toMatchObject({
    exitCode: 0,
    stdout: '',
    stderr: expect.stringContaining('No session yet'),
  });
  other.signal('SIGTERM');
  expect(await other.exit).toBe(143);
});

test('the manager and its clients go on after the death of their server', async () => {
  const id = await newSession();
  await using events = bench.start(['events', '--session', id, '--type', 'session.idle', '--json']);
  process.kill(launch['server'].pid, 'SIGKILL');
  restarted = await serve.record('server.restarted');
  const { records } = await ocm('prompt', id, 'echo after', '--json');
  expect(records.at(-1)).toMatchObject({ outcome: 'succeeded', output: 'You said after.', session_id: id });
  await events.record('session.idle');
});

test('no password is to be seen anywhere; SIGTERM stops all of it', async () => {
  const passwords = await Promise.all([launch, restarted].map((record) => passwordOf(bench, record['server'].pid)));
  const told = await allArguments();
  serve.signal('SIGTERM');
  expect(await serve.exit).toBe(143);
  for (const password of passwords) expect(told + serve.stdout + serve.stderr).not.toContain(password);
  expect(serve.records.map(({ type }) => type)).toEqual(['launch', 'server.restarted', 'done']);
  await expectNoProcess(launch['run_id']);
  await expect(stat(launch['state_dir'])).rejects.toThrow('ENOENT');
  await bench.expectNothingLeft();
  expect(await ocm('sessions')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('MANAGER_NOT_FOUND: No manager is running. Start one with: ocm serve'),
  });
});
