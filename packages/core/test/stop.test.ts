import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findMarkedProcesses, listRuns, registryDirectory } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace, type ScriptedModel, type TemporaryWorkspace } from '@opencode-manager/testing';
import { failureOf } from './support/failure.ts';
import { startBench } from './support/server.ts';
import { by } from './support/tested.ts';

/** Tools that a group kill misses: plain, in the background, in a session of its own, deaf to SIGTERM. */
const tools = {
  plain: 'sleep 60',
  background: 'sleep 60 & sleep 61',
  setsid: 'setsid sleep 60 & sleep 62',
  deaf: `trap '' TERM; sleep 63; sleep 64`,
};

const rules = [
  { when: { user: /^run (\w+)/, toolResult: /./ }, reply: 'Ran.' },
  ...Object.entries(tools).map(([name, command]) => ({
    when: { user: `run ${name}` },
    reply: { toolCalls: [{ name: 'bash', arguments: { command, description: name } }] },
  })),
  { when: { user: /stream/ }, reply: { text: 'word '.repeat(200), tokensPerSecond: 5 } },
];

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

const sleepsOf = async (runId: string) => (await findMarkedProcesses(runId)).filter(({ command }) => command.startsWith('sleep')).length;

describe('stop()', () => {
  test('with 12 busy sessions and tools of every kind: within 5 s, nothing left, idempotent', async () => {
    await using bench = await startBench(rules);
    const kinds = Object.keys(tools);
    const sessions = await Promise.all(Array.from({ length: 12 }, () => bench.server.createSession()));
    await Promise.all(sessions.map((session, index) => session.promptAsync(index < 8 ? `run ${kinds[index % 4]}` : 'stream')));
    await vi.waitFor(async () => expect(await sleepsOf(bench.server.runId)).toBeGreaterThanOrEqual(12), { timeout: 30_000, interval: 100 });
    const { runId, stateDir } = bench.server;
    const [report, again] = await Promise.all([bench.server.stop(), bench.server.stop()]);
    expect(again).toBe(report);
    expect(report.durationMs).toBeLessThan(5000);
    expect(report).toMatchObject({ portFree: true, stateDeleted: true });
    expect(await findMarkedProcesses(runId)).toEqual([]);
    expect(await exists(stateDir)).toBe(false);
    expect((await listRuns()).map((run) => run.runId)).not.toContain(runId);
    expect(await bench.server.exited).toMatchObject({ expected: true });
    expect((await failureOf(bench.server.health())).code).toMatch(/SERVER_EXITED|CONNECTION_LOST/);
  });

  test('a server that was stopped by a signal (SIGSTOP) is killed', async () => {
    await using bench = await startBench(rules);
    process.kill(bench.server.pid, 'SIGSTOP');
    const report = await bench.server.stop();
    expect(report.endedBy).toBe('SIGKILL');
    expect(report.durationMs).toBeLessThan(5000);
  });
});

describe('the end of a manager', () => {
  let model: ScriptedModel;
  let workspace: TemporaryWorkspace;
  beforeEach(async () => {
    model = await startScriptedModel({ rules });
    workspace = await temporaryWorkspace({ files: { 'a.txt': '' } });
  });
  afterEach(async () => {
    await model[Symbol.asyncDispose]();
    await workspace[Symbol.asyncDispose]();
  });

  async function startManager(prompts: string[]) {
    const config = { directory: workspace.path, opencodeConfig: model.opencodeConfig() };
    const child = execa(
      process.execPath,
      [
        '--conditions=@opencode-manager/source',
        fileURLToPath(new URL('support/manager.ts', import.meta.url)),
        JSON.stringify(config),
        JSON.stringify(prompts),
      ],
      {
        reject: false,
        buffer: false,
        lines: false,
      },
    );
    const line = await new Promise<string>((resolve, reject) => {
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.includes('\n')) resolve(text);
      });
      void child.then(({ shortMessage }) => reject(new Error(`the manager ended: ${shortMessage ?? 'without a word'}`)));
    });
    return { child, ...(JSON.parse(line) as { runId: string; stateDir: string; pid: number }) };
  }

  test('SIGKILL: server, tools of every kind and temporary state are gone within 3 s', async () => {
    const manager = await startManager(['run plain', 'run background', 'run setsid', 'run deaf', 'stream']);
    await vi.waitFor(async () => expect(await sleepsOf(manager.runId)).toBeGreaterThanOrEqual(6), { timeout: 30_000, interval: 100 });
    expect((await listRuns()).map(({ runId }) => runId)).toContain(manager.runId);
    expect((await stat(registryDirectory())).mode & 0o777).toBe(0o700);
    manager.child.kill('SIGKILL');
    await vi.waitFor(
      async () => {
        expect(await findMarkedProcesses(manager.runId)).toEqual([]);
        expect(await exists(manager.stateDir)).toBe(false);
        expect((await listRuns()).map(({ runId }) => runId)).not.toContain(manager.runId);
      },
      { timeout: 3000, interval: 50 },
    );
    await manager.child;
  });
});

describe('relaunch()', () => {
  test('a server that dies is reported, calls say so with its output; then the same sessions are on a new process, the old tools gone; a stop during a relaunch ends both', async () => {
    await using bench = await startBench(rules);
    const idle = await bench.server.createSession({ title: 'idle' });
    const busy = await bench.server.createSession({ title: 'busy' });
    await busy.promptAsync('run setsid');
    await vi.waitFor(async () => expect(await sleepsOf(bench.server.runId)).toBe(2), { timeout: 30_000, interval: 100 });
    process.kill(bench.server.pid, 'SIGKILL');
    expect(await bench.server.exited).toMatchObject({ signal: 'SIGKILL', expected: false });
    const error = await failureOf(idle.messages());
    expect(error.code).toBe('SERVER_EXITED');
    expect(error.output).toContain(by({ v1: 'opencode server listening', v2: '{"url":"http://127.0.0.1:' }));
    expect(error.output).not.toContain(bench.server.credentials().password);
    const next = await bench.server.relaunch();
    expect([next.stateDir, next.runId, next.directory]).toEqual([bench.server.stateDir, bench.server.runId, bench.server.directory]);
    expect(next.credentials().password).not.toBe(bench.server.credentials().password);
    expect(await sleepsOf(next.runId)).toBe(0);
    expect((await next.listSessions()).map(({ id }) => id).toSorted()).toEqual([idle.id, busy.id].toSorted());
    expect((await next.snapshot()).status).toEqual({});
    const again = await next.getSession(idle.id);
    expect((await again.executeShell('echo back')).messages).toHaveLength(1);
    expect((await failureOf(bench.server.relaunch())).code).toBe('SERVER_EXITED');

    const third = failureOf(next.relaunch());
    await vi.waitFor(async () => expect(await findMarkedProcesses(next.runId)).toEqual([]), { timeout: 5000, interval: 5 });
    expect(await bench.server.stop()).toMatchObject({ stateDeleted: true });
    await third;
    expect(await next.exited).toMatchObject({ expected: true });
    expect(await findMarkedProcesses(next.runId)).toEqual([]);
    expect(await exists(next.stateDir)).toBe(false);
    expect((await failureOf(next.relaunch())).code).toBe('SERVER_EXITED');
  });
});
