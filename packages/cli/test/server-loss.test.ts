import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { expectNoProcess, openBench } from './support/ocm.ts';

const slowly = { text: 'word '.repeat(400), tokensPerSecond: 20 };

test('ocm run goes on after the death of its server, and leaves nothing', async () => {
  await using bench = await openBench({
    rules: [
      { name: 'slow', when: { user: /^begin/ }, reply: slowly, times: 1 },
      { when: { user: /(\w+)$/ }, reply: 'Said {{user.1}}.' },
    ],
  });
  const file = join(bench.root, 'tasks.jsonl');
  await writeFile(file, ['{"id":"a","prompt":"begin a"}', '{"id":"b","prompt":"say b"}'].join('\n'));
  await using run = bench.start([
    'run',
    file,
    '--directory',
    bench.workspace.path,
    '--opencode-config',
    bench.configFile,
    '--concurrency',
    '1',
    '--json',
  ]);
  const launch = await run.record('launch');
  await bench.model.waitForCalls(1, { rule: 'slow', timeoutMs: 30_000 });
  process.kill(launch.server.pid, 'SIGKILL');
  const restarted = await run.record('server.restarted');
  expect(restarted).toMatchObject({ server: { version: launch.server.version }, restarts: 1 });
  expect(restarted.server.pid).not.toBe(launch.server.pid);
  expect(await run.exit).toBe(0);
  expect(run.records.map(({ type, id }) => [type, id])).toEqual([
    ['launch', undefined],
    ['task.started', 'a'],
    ['server.restarted', undefined],
    ['task.started', 'a'],
    ['task.finished', 'a'],
    ['task.started', 'b'],
    ['task.finished', 'b'],
    ['done', undefined],
  ]);
  expect(run.records.find(({ type }) => type === 'task.finished')).toMatchObject({
    outcome: 'succeeded',
    output: 'Said a.',
    attempt: 2,
    attempts: [{ attempt: 1, outcome: 'interrupted' }],
    workspace_may_be_half_changed: true,
  });
  expect(run.records.at(-1)).toMatchObject({ type: 'done', succeeded: 2, server_restarts: 1, clean: true, state_deleted: true });
  await expectNoProcess(launch.run_id);
  await bench.expectNothingLeft();
});

test('ocm serve and its clients go on after the death of their server', async () => {
  await using bench = await openBench({ rules: [{ when: { user: /echo (.*)/ }, reply: 'You said {{user.1}}.' }] });
  await using serve = bench.start(['serve', '--directory', bench.workspace.path, '--opencode-config', bench.configFile, '--json']);
  const launch = await serve.record('launch');
  const ocm = async (...args: string[]) => {
    await using client = bench.start(args);
    expect(await client.exit, client.stderr).toBe(0);
    return client.records;
  };
  const [created] = await ocm('prompt', 'new', 'echo before', '--json');
  const sessionId = created!['session_id'] as string;
  await using events = bench.start(['events', '--session', sessionId, '--type', 'session.idle', '--json']);
  process.kill(launch.server.pid, 'SIGKILL');
  await serve.record('server.restarted');
  const records = await ocm('prompt', sessionId, 'echo after', '--json');
  expect(records.at(-1)).toMatchObject({ outcome: 'succeeded', output: 'You said after.', session_id: sessionId });
  await events.record('session.idle');
  events.signal('SIGTERM');
  serve.signal('SIGTERM');
  expect(await serve.exit).toBe(143);
  await expectNoProcess(launch.run_id);
});
