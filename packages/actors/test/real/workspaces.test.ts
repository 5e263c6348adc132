import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OpencodeManagerError } from '@opencode-manager/core';
import { opencodeUnderTest, temporaryWorkspace, type TemporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { LeasedWorkspace, SessionPool, TaskAnswer, TaskWorkspaceResult, WorkspaceRequest, WorkspaceSource } from '../../src/index.ts';
import { startBench, type Bench } from '../support/bench.ts';
import { createSessionPool } from '../support/pool.ts';

const look = { name: 'bash', arguments: { command: 'echo "$TASK" > seen.txt', description: 'look' } };
const subAgent = { name: 'task', arguments: { description: 'look', prompt: 'look for another', subagent_type: 'general' } };

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([
    { name: 'slow', when: { user: /^slowly/ }, reply: { text: 'word '.repeat(1000), tokensPerSecond: 4 } },
    { when: { user: /^say (\S+)/ }, reply: 'You said {{user.1}}.' },
    { when: { user: /^delegate/, afterTool: 'task' }, reply: 'Delegated.' },
    { when: { user: /^delegate/ }, reply: { toolCalls: [subAgent] } },
    { when: { user: /^look/, afterTool: 'bash' }, reply: 'Looked.' },
    { when: { user: /^look/ }, reply: { toolCalls: [look] } },
  ]);
});
afterAll(() => bench[Symbol.asyncDispose]());

const result: TaskWorkspaceResult = {
  base_commit: 'b',
  tree: 't',
  ref: 'refs/results/1',
  patch: '/results/1.diff',
  files_changed: 1,
  insertions: 2,
  deletions: 3,
  commits: [],
  left_behind: [],
  overlaps_with: [],
};

/** Repositories, with what was done to each in its order. */
class Places implements WorkspaceSource, AsyncDisposable {
  readonly log: string[] = [];
  readonly seen = new Map<string, Promise<string>>();
  readonly requests: WorkspaceRequest[] = [];
  readonly #made: TemporaryWorkspace[] = [];
  readonly #capture: () => TaskWorkspaceResult;

  constructor(capture?: () => TaskWorkspaceResult) {
    this.#capture = capture ?? (() => result);
  }

  async acquire(key: string, request: WorkspaceRequest): Promise<LeasedWorkspace> {
    this.requests.push(request);
    const place = await temporaryWorkspace({ files: { 'a.txt': 'a\n' } });
    this.#made.push(place);
    this.log.push(`acquire ${key}`);
    return {
      directory: place.path,
      environment: { TASK: key },
      capture: async () => {
        this.log.push(`capture ${key}`);
        return this.#capture();
      },
      release: async () => {
        this.log.push(`release ${key}`);
        await place.remove();
      },
    };
  }

  hear(pool: SessionPool): void {
    pool.on('task.finished', ({ result: { id } }) => this.log.push(`finished ${id}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const place of this.#made) await place.remove();
  }
}

const atLast = { timeout: 10_000, interval: 20 };

test('a task works in a place of its own, which is captured before its result and removed when the server has forgotten it', async () => {
  await using source = new Places();
  const disposeDirectory = async (directory: string) => {
    const isForgotten = await bench.server.disposeDirectory(directory);
    source.log.push(`forgotten ${isForgotten}`);
    return isForgotten;
  };
  const server = { ...bench.server, disposeDirectory };
  await using pool = await createSessionPool({ server, monitor: bench.monitor, workspaces: source, workspace: 'clone' });
  source.hear(pool);
  const told = await pool.run({ id: 'one', prompt: 'say one' });
  expect(told).toMatchObject({ outcome: 'succeeded', output: 'You said one.', ...result });
  expect(source.requests).toMatchObject([{ directory: bench.workspace.path, mode: 'clone' }]);
  await vi.waitFor(() => expect(source.log).toContain('release one'), atLast);
  // opencode 2 cannot be told to forget a directory.
  const forgotten = opencodeUnderTest().by({ v1: ['forgotten true'], v2: [] });
  expect(source.log).toEqual(['acquire one', 'capture one', 'finished one', ...forgotten, 'release one']);
  expect(pool.getIdleSession()).toBeUndefined();
  const shared = await pool.run({ id: 'two', prompt: 'say two', workspace: 'shared' });
  expect(shared.directory).toBe(bench.workspace.path);
  expect(shared).not.toHaveProperty('patch');
  // What further turns do belongs to it: it is captured after the last one.
  source.log.length = 0;
  const onAnswer = async ({ output }: TaskAnswer) => (source.log.push(output), output.includes('more') ? null : { prompt: 'say more' });
  expect(await pool.run({ id: 'three', prompt: 'say three' }, { onAnswer })).toMatchObject({ outcome: 'succeeded', ...result });
  expect(source.log.slice(0, 5)).toEqual(['acquire three', 'You said three.', 'You said more.', 'capture three', 'finished three']);
});

test('tools of each place see its variables: of a prompt, a shell line, a sub-agent', async () => {
  const seen = (directory: string) => readFile(join(directory, 'seen.txt'), 'utf8');
  await using source = new Places();
  const { server, monitor } = bench;
  await using pool = await createSessionPool({ server, monitor, workspaces: source, maxSessions: 4, permissions: 'allow' });
  pool.on('task.finished', ({ result: { id, directory } }) => void source.seen.set(id, seen(directory)));
  const tasks = [
    { id: 'one', prompt: 'look' },
    { id: 'two', shell: 'echo "$TASK" > seen.txt' },
    { id: 'three', prompt: 'delegate' },
  ];
  const told = await Promise.all(tasks.map((task) => pool.run(task)));
  expect(told.map(({ outcome }) => outcome)).toEqual(['succeeded', 'succeeded', 'succeeded']);
  for (const { id } of tasks) expect(await source.seen.get(id)).toBe(`${id}\n`);
  const kept = () => readdir(join(server.stateDir, 'run', 'tool-variables'));
  await vi.waitFor(async () => expect(await kept()).toEqual([]), atLast);
  await expect(server.setToolVariables('/srv/one', { HOME: '/srv' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('an abort is captured; a place that cannot be made fails its attempt, and nothing is sent', async () => {
  await using source = new Places();
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor, workspaces: source });
  const enough = new AbortController();
  const turn = pool.run({ id: 'slow', prompt: 'slowly' }, { signal: enough.signal });
  await bench.model.waitForCalls(1, { rule: 'slow' });
  enough.abort();
  expect(await turn).toMatchObject({ outcome: 'aborted', tree: 't' });

  const calls = bench.model.calls.length;
  vi.spyOn(source, 'acquire').mockRejectedValueOnce(new OpencodeManagerError('WORKSPACE_CREATE_FAILED', 'No room.'));
  expect(await pool.run({ prompt: 'say nothing' })).toMatchObject({ outcome: 'failed', error: { code: 'WORKSPACE_CREATE_FAILED' } });
  expect(bench.model.calls).toHaveLength(calls);
  // Refused before its turn: the place goes without a result.
  expect(await pool.run({ id: 'refused', prompt: 'say', agent: 'nobody' })).toMatchObject({ error: { code: 'AGENT_UNKNOWN' } });
  await vi.waitFor(() => expect(source.log.at(-1)).toBe('release refused'), atLast);
});

test('a turn whose files cannot be taken has failed', async () => {
  await using source = new Places(() => {
    throw new OpencodeManagerError('WORKSPACE_STILL_CHANGING', 'Something writes there.');
  });
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor, workspaces: source });
  const told = await pool.run({ prompt: 'say one' });
  expect(told).toMatchObject({ outcome: 'failed', output: 'You said one.', error: { code: 'WORKSPACE_STILL_CHANGING' } });
  expect(told.notes).toEqual([expect.stringContaining(`Something writes there.). It is in ${told.directory}`)]);
});

test('a place in which somebody else works stays until that has ended', async () => {
  await using source = new Places();
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor, workspaces: source });
  const enough = new AbortController();
  const turn = pool.run({ id: 'one', prompt: 'slowly' }, { signal: enough.signal });
  await bench.model.waitForCalls(2, { rule: 'slow' });
  const { directory } = pool.snapshot().sessions[0]!;
  const lent = await pool.createSession('lent', { directory });
  enough.abort();
  await turn;
  expect((await lent.prompt('say lent')).output).toBe('You said lent.');
  expect(source.log).not.toContain('release one');
  lent.release();
  await vi.waitFor(() => expect(source.log).toContain('release one'), atLast);
});

test('a pool without workspaces refuses a task that names one, as does a leased session', async () => {
  await expect(createSessionPool({ server: bench.server, workspace: 'clone' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  await using pool = await createSessionPool({ server: bench.server, monitor: bench.monitor });
  await expect(pool.run({ prompt: 'say one', workspace: 'clone' })).rejects.toMatchObject({ code: 'TASK_INVALID' });
  expect((await pool.run({ prompt: 'say one', workspace: 'shared' })).outcome).toBe('succeeded');
});
