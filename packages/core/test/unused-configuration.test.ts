import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWorkspaces } from '../src/isolation/index.ts';
import { failureOf } from './support/failure.ts';
import { startBench, type Bench } from './support/server.ts';

const files = {
  'opencode.json': '{"agent":{"a":{}}}',
  '.opencode/agent/review.md': '---\nmode: primary\n---\nReview.',
  '.opencode/agents/deep/one.md': 'One.',
  '.opencode/command/publish.md': 'Publish.',
  '.opencode/package.json': '{}',
  'AGENTS.md': 'rules',
};

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([{ reply: 'Done.' }], {}, files);
});
afterAll(() => bench[Symbol.asyncDispose]());

describe('a workspace whose own configuration is not used says so', () => {
  test('in one note, which names the files and the switch', () => {
    const { path } = bench.workspace;
    const named = 'opencode.json, .opencode/agent/review.md, .opencode/agents/deep/one.md, .opencode/command/publish.md';
    const [note = '', ...more] = bench.server.notes();
    expect(more).toEqual([]);
    expect(note.startsWith(`${path}: opencode configuration of the workspace is not used (`)).toBe(true);
    expect(
      note.endsWith("), because projectConfig is 'instructions'; set it to 'all' (--project-config all) when you trust this workspace"),
    ).toBe(true);
    const shown = note.slice(note.indexOf('(') + 1, note.indexOf(')')).split(', ');
    expect(shown.toSorted()).toEqual(named.split(', ').toSorted());
  });

  test.each([
    ['an agent', 'review', '.opencode/agent/review.md'],
    ['an agent below a folder', 'deep/one', '.opencode/agents/deep/one.md'],
  ])('when a turn names it: %s', async (_what, agent, file) => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.prompt('hello', { agent }));
    expect(error.code).toBe('AGENT_UNKNOWN');
    expect(error.message).toContain(`${join(bench.workspace.path, file)} is not used: set projectConfig to 'all' (--project-config all)`);
  });

  test('when a turn names its command', async () => {
    const session = await bench.server.createSession();
    const error = await failureOf(session.executeCommand('publish', ''));
    expect(error.code).toBe('COMMAND_UNKNOWN');
    expect(error.message).toContain(`${join(bench.workspace.path, '.opencode/command/publish.md')} is not used`);
  });

  test('unless no such file lies there', async () => {
    const session = await bench.server.createSession();
    expect((await failureOf(session.prompt('hello', { agent: 'nobody' }))).message).not.toContain('is not used');
  });

  test('and what was handed over by name is used', async () => {
    const given = ['opencode.json', '.opencode'].map((name) => join(bench.workspace.path, name));
    const workspaces = createWorkspaces({
      projectConfig: 'instructions',
      instructionFiles: ['AGENTS.md'],
      gitEnvironment: process.env,
      given,
    });
    expect((await workspaces.check(bench.workspace.path)).notes).toEqual([]);
  });
});
