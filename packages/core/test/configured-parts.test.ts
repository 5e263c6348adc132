import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describePart, type ConfiguredPart } from '@opencode-manager/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureOf } from './support/failure.ts';
import { mcpServerScript } from './support/mcp-server.ts';
import { userMachine, type UserMachine } from './support/user-machine.ts';
import { by, isV2 } from './support/tested.ts';

const local = (...command: string[]) => ({ type: 'local', command });
const programs = {
  'mcp-good': mcpServerScript,
  'mcp-slow': '#!/bin/sh\nuntil [ -e "$0.may-start" ]; do sleep 0.05; done\nexec mcp-good\n',
  'mcp-hangs': '#!/bin/sh\nsleep 600\n',
};

const given = {
  'agent/reviewer.md': '---\ndescription: reviews\nmode: subagent\n---\nYou review.\n',
  'plugin/good.js': by({ v1: 'export const Good = async () => ({})\n', v2: "export default { id: 'good', setup: async () => {} }\n" }),
  'plugin/throws.js': "throw new Error('no such luck')\n",
  'tool/hello.js': "export default { description: 'says hello', args: {}, async execute() { return 'hello' } }\n",
  'tool/many.js': "export const one = { description: 'one', args: {}, async execute() { return '1' } }\n",
};

const opencodeConfig = {
  agent: { helper: { mode: 'subagent', description: 'helps', prompt: 'You help.' }, plan: { disable: true } },
  mcp: {
    good: local('mcp-good'),
    slow: { ...local('mcp-slow'), timeout: 60_000 },
    hangs: { ...local('mcp-hangs'), timeout: 1500 },
    missing: local('no-such-program'),
    ends: local('/bin/false'),
    off: { ...local('mcp-good'), enabled: false },
    remote: { type: 'remote', url: 'http://127.0.0.1:9/mcp' },
  },
};

const stateOf = (parts: readonly ConfiguredPart[]) =>
  Object.fromEntries(parts.map(({ kind, name, status }) => [`${kind} ${name}`, status]));

describe('what is configured', () => {
  let machine: UserMachine;
  beforeAll(async () => {
    machine = await userMachine({
      programs,
      given,
      providers: { nobody: { npm: '@ai-sdk/openai-compatible', models: {} } },
      config: ({ root }) => ({ opencodeConfigDir: `${root}/given`, opencodeConfig }),
    });
  });
  afterAll(() => machine?.[Symbol.asyncDispose]());

  test('slow MCP servers are starting at first, and hold up neither the start nor a turn without commands', async () => {
    const parts = stateOf(await machine.server.parts());
    expect(parts).toMatchObject({ 'mcp slow': 'starting', 'mcp off': 'disabled', 'agent helper': 'alive' });
    const session = await machine.server.createSession();
    const catalogue = await machine.server.catalogue(machine.workspace.path, { withoutCommands: true, timeoutMs: 2000 });
    expect(catalogue.agents).toContain('helper');
    expect(session.id).toMatch(/^ses_/);
  });

  test('each part is told with its state, and why it does not work', async () => {
    await writeFile(join(machine.bin, 'mcp-slow.may-start'), '');
    const parts = await machine.server.parts({ settled: true });
    expect(stateOf(parts)).toEqual({
      'provider scripted': 'alive',
      'provider nobody': 'failed',
      'agent helper': 'alive',
      'agent plan': 'disabled',
      'agent reviewer': 'alive',
      'mcp good': 'alive',
      'mcp slow': 'alive',
      'mcp hangs': 'failed',
      'mcp missing': 'failed',
      'mcp ends': 'failed',
      'mcp off': 'disabled',
      'mcp remote': 'failed',
      'plugin good.js': by({ v1: 'unknown', v2: 'alive' }),
      'plugin throws.js': 'failed',
      'tool hello.js': by({ v1: 'alive', v2: 'failed' }),
      'tool many.js': by({ v1: 'alive', v2: 'failed' }),
    });
    const failed = parts.filter(({ status }) => status === 'failed');
    const told = failed.map((part) => describePart(part).replace(machine.server.stateDir, '<state>'));
    const nobody = 'provider nobody: opencode offers none of its models: it has no credentials, no models, or another name.';
    expect(told).toEqual(
      by({
        v1: [
          nobody,
          'MCP server hangs: Operation timed out after 1500ms',
          'MCP server missing: Executable not found in $PATH: "no-such-program"',
          'MCP server ends: MCP error -32000: Connection closed',
          'MCP server remote: SSE error: Unable to connect. Is the computer able to access the url?',
          'plugin throws.js: Failed to load plugin file://<state>/config/opencode/plugin/throws.js: no such luck',
        ],
        v2: [
          nobody,
          'MCP server hangs: Request timed out',
          'MCP server missing: NotFound: ChildProcess.spawn (no-such-program )',
          'MCP server ends: Connection closed',
          'MCP server remote: Unable to connect. Is the computer able to access the url?',
          'plugin throws.js: Plugin <state>/config/opencode/plugin/throws.js: no such luck',
          ...['hello.js', 'many.js'].map(
            (file) => `custom tool ${file}: This version of opencode loads no files of tools: give the tool by a plugin.`,
          ),
        ],
      }),
    );
  });
});

test('with strict, an MCP server that does not start is an error that names it', async () => {
  const config = { strict: true, opencodeConfig: { mcp: { missing: local('no-such-program'), good: local('mcp-good') } } };
  const error = await failureOf(userMachine({ programs, config }).then((machine) => machine[Symbol.asyncDispose]()));
  expect([error.code, error.message]).toEqual(['PART_UNAVAILABLE', expect.stringMatching(/^Option strict: MCP server missing: /)]);
});

test.skipIf(isV2).each([
  ['throws', "throw new Error('not today')\n"],
  [
    'imports what is not there',
    "import { x } from 'no-such-library'\nexport default { description: x, args: {}, execute: async () => x }\n",
  ],
])(
  'a custom tool that %s is refused at the start: opencode would begin no turn, and say nothing (opencode 1 only: 2 has no such files)',
  async (_, text) => {
    const config = ({ root }: { readonly root: string }) => ({ opencodeConfigDir: `${root}/given` });
    const starting = userMachine({ given: { 'tool/hello.js': given['tool/hello.js'], 'tool/bad.js': text }, config });
    const error = await failureOf(starting.then((machine) => machine[Symbol.asyncDispose]()));
    expect([error.code, error.message]).toEqual(['PART_UNAVAILABLE', expect.stringMatching(/^opencodeConfigDir: bad.js, hello.js: /)]);
  },
);
