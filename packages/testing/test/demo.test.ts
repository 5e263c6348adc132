import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import {
  demoConfigFiles,
  demoScript,
  demoTasks,
  demoWorkspaceFiles,
  startScriptedModel,
  temporaryWorkspace,
  type DemoTask,
  type ScriptedModel,
  type TemporaryWorkspace,
} from '../src/index.ts';
import { startOpencode, textOf, type Message, type TestServer } from './support/opencode.ts';

/** The first turns of a server load its tools; on a busy machine twelve at once take a while. */
const permissionDeadlineMs = 40_000;

let workspace: TemporaryWorkspace;
let model: ScriptedModel;
let server: TestServer;

beforeAll(async () => {
  workspace = await temporaryWorkspace({ files: demoWorkspaceFiles });
  model = await startScriptedModel(demoScript());
  server = await startOpencode({ directory: workspace.path, config: model.opencodeConfig(), configFiles: demoConfigFiles });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await model?.stop();
  await workspace?.remove();
});

function runAll() {
  return Promise.all(demoTasks.map(async (task) => ({ task, message: await run(task) })));
}

async function run(task: DemoTask): Promise<Message> {
  return start(task, await server.createSession({ title: task.title }));
}

function start({ prompt, command, shell }: DemoTask, sessionId: string): Promise<Message> {
  if (prompt !== undefined) return server.prompt(sessionId, prompt);
  if (shell !== undefined) return server.request('POST', `/session/${sessionId}/shell`, { agent: 'build', command: shell });
  const [name, ...args] = command?.split(' ') ?? [];
  return server.request('POST', `/session/${sessionId}/command`, { command: name, arguments: args.join(' ') });
}

async function rejectOneAsk(): Promise<{ permission: string; patterns: string[] }> {
  const ask = await vi.waitFor(
    async () => {
      const [first] = await server.request<{ id: string; permission: string; patterns: string[] }[]>('GET', '/permission');
      if (!first) throw new Error('nothing was asked');
      return first;
    },
    { timeout: permissionDeadlineMs, interval: 200 },
  );
  await server.request('POST', `/permission/${ask.id}/reply`, { reply: 'reject', message: 'The policy of this run denies it.' });
  return ask;
}

function answerOf(answers: readonly { task: DemoTask; message: Message }[], id: string): string {
  return answers
    .filter(({ task }) => task.id === id)
    .map(({ message }) => textOf(message))
    .join('');
}

describe('the demo on a real server', () => {
  it('has twelve tasks with ids of their own', () => {
    expect(new Set(demoTasks.map(({ id }) => id)).size).toBe(12);
  });

  it('runs every task to a finished answer and changes the files it should', async () => {
    const [ask, answers] = await Promise.all([rejectOneAsk(), runAll()]);
    expect(ask).toMatchObject({ permission: 'external_directory', patterns: ['/etc/*'] });
    for (const { task, message } of answers) {
      expect(message.info.error, task.id).toBeUndefined();
      if (task.shell === undefined) expect(message.info.finish, task.id).toBe('stop');
    }
    expect(answerOf(answers, 'run-tests')).toContain('Both tests pass');
    expect(answerOf(answers, 'check-hosts')).toContain('I was not allowed');
    await expect(workspace.changedFiles()).resolves.toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'src/limits.js',
      'src/money.js',
      'src/stock.js',
      'test/cart.test.js',
    ]);
    await expect(workspace.read('src/money.js')).resolves.toContain('Math.round(amount * 100)');
    await expect(workspace.read('src/stock.js')).resolves.toContain('AbortSignal.timeout(STOCK_TIMEOUT_MS)');
    await expect(workspace.read('CHANGELOG.md')).resolves.toContain('## 1.3.0');
    expect(model.turnCalls.filter(({ rule }) => rule === null)).toEqual([]);
    expect(model.turnCalls.filter(({ status }) => status === 429)).toHaveLength(1);
  });
});
