import { join } from 'node:path';
import { findBinary, type ServerConfig } from '@opencode-manager/core';
import { protocolNamed } from '@opencode-manager/core/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureOf } from './support/failure.ts';
import { mcpServerScript } from './support/mcp-server.ts';
import { startRegistry, type Registry } from './support/registry.ts';
import { by, isV2 } from './support/tested.ts';
import { userMachine, type UserMachine } from './support/user-machine.ts';

/** A provider that answers every prompt with one text. */
const provider = `const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } }
export const createDemo = (options) => ({
  languageModel: (modelId) => ({
    specificationVersion: 'v3', provider: options.name, modelId, supportedUrls: {},
    async doStream() {
      return { stream: new ReadableStream({ start(stream) {
        for (const part of [
          { type: 'stream-start', warnings: [] },
          { type: 'text-start', id: '1' }, { type: 'text-delta', id: '1', delta: 'from a package' }, { type: 'text-end', id: '1' },
          { type: 'finish', finishReason: { unified: 'stop', raw: 'stop' }, usage },
        ]) stream.enqueue(part)
        stream.close()
      } }) }
    },
  }),
})
`;

const packages = {
  'demo-plugin': {
    'index.js': by({
      v1: "export const Demo = async () => ({ 'shell.env': async (input, output) => { output.env.FROM_PLUGIN = 'yes' } })\n",
      v2: "export default { id: 'demo', setup: (context) => context.shell.hook('create.before', ({ env }) => { env.FROM_PLUGIN = 'yes' }) }\n",
    }),
  },
  'broken-plugin': { 'index.js': "throw new Error('broken on purpose')\n" },
  'demo-mcp': { 'package.json': JSON.stringify({ bin: 'server.js' }), 'server.js': mcpServerScript },
  'demo-provider': { 'index.js': provider },
  'demo-library': { 'index.js': "export const greeting = 'from a library'\n" },
};

const customTool = `import { greeting } from 'demo-library'
export default { description: 'greets', args: {}, async execute() { return greeting } }
`;

const demoProvider = { demo: { npm: 'demo-provider', models: { one: {} } }, absent: { npm: 'no-such-provider', models: { one: {} } } };

describe('with packages to fetch', () => {
  let registry: Registry;
  let machine: UserMachine;
  const at = <Answer>(path: string) =>
    machine.server.client.call<Answer>({ method: 'GET', path, query: { directory: machine.workspace.path }, answer: 'json' });
  beforeAll(async () => {
    const { version } = await findBinary();
    // opencode installs its own package beside those of a configuration directory.
    const own = { 'package.json': JSON.stringify({ version }), 'index.js': 'export const tool = (definition) => definition\n' };
    registry = await startRegistry({ ...packages, '@opencode-ai/plugin': own });
    machine = await userMachine({
      config: ({ root }) => ({
        opencodeConfigDir: join(root, 'given'),
        env: { npm_config_registry: registry.url },
        opencodeConfig: {
          plugin: ['demo-plugin', 'no-such-plugin@1.0.0', 'broken-plugin@1.0.0'],
          mcp: { demo: { type: 'local', command: ['npx', '-y', 'demo-mcp'] } },
        },
      }),
      given: { 'tool/greet.ts': customTool, 'package.json': JSON.stringify({ dependencies: { 'demo-library': '1.0.0' } }) },
      providers: demoProvider,
    });
  });
  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });

  test('npm view in a tool', async () => {
    expect(await machine.tool('npm view demo-library version')).toBe('1.0.0');
  });

  test('npm install in a shell line', async () => {
    const line = "npm install --silent --no-save demo-library && node -e 'import(`demo-library`).then((m) => console.log(m.greeting))'";
    expect(await machine.shell(line.replaceAll('`', '"'))).toBe('from a library');
  });

  test('a plugin that opencode installs', async () => {
    expect(await machine.tool('echo $FROM_PLUGIN')).toBe('yes');
  });

  test('an MCP server by npx', async () => {
    const calls = protocolNamed(machine.server.protocol).calls(machine.server.client);
    expect(await calls.mcpServers(machine.workspace.path)).toEqual({ demo: { status: 'connected' } });
  });

  test.skipIf(isV2)('a custom tool that imports a package of its own (opencode 1 only: 2 loads no files of tools)', async () => {
    expect(await at<string[]>('/experimental/tool/ids')).toContain('greet');
    const session = await machine.server.createSession();
    expect((await session.prompt('greet Ada')).text).toBe('printed\nfrom a library');
  });

  test("a package of a provider, at the provider's first turn", async () => {
    const session = await machine.server.createSession();
    expect((await session.prompt('hello', { model: 'demo/one' })).text).toBe('from a package');
  });

  test("a package of a provider that cannot be installed ends the provider's first turn", async () => {
    const session = await machine.server.createSession();
    expect(await failureOf(session.prompt('hello', { model: 'absent/one' }))).toMatchObject({
      code: 'PACKAGE_UNAVAILABLE',
      message: expect.stringContaining(
        by({ v1: 'Failed to initialize provider: absent', v2: 'Cannot initialize absent/one: 404 Not Found' }),
      ),
    });
  });

  test('the launch says what was fetched and what failed, and nothing else was asked for', () => {
    const { launch } = machine.server;
    expect(launch.npm).toEqual({
      online: true,
      packages: [
        { kind: 'plugin', package: 'demo-plugin', status: 'installed' },
        { kind: 'plugin', package: 'no-such-plugin@1.0.0', status: 'failed' },
        { kind: 'plugin', package: 'broken-plugin@1.0.0', status: 'installed' },
        { kind: 'provider', package: 'demo-provider', name: 'demo', status: 'unknown' },
        { kind: 'provider', package: 'no-such-provider', name: 'absent', status: 'unknown' },
        { kind: 'config_directory', package: 'demo-library@1.0.0', status: by({ v1: 'installed', v2: 'failed' }) },
        { kind: 'mcp', package: 'demo-mcp', name: 'demo', status: 'unknown' },
      ],
    });
    expect(machine.server.notes()).toEqual(
      by({
        v1: [
          expect.stringContaining('Failed to install plugin no-such-plugin@1.0.0: 404'),
          'Failed to load plugin broken-plugin@1.0.0: broken on purpose',
        ],
        v2: [
          expect.stringContaining('Plugin no-such-plugin@1.0.0: 404'),
          'Plugin broken-plugin@1.0.0: broken on purpose',
          'demo-library@1.0.0 (configuration directory) is not there, and this version of opencode does not install it. Run `npm install` in that directory before.',
        ],
      }),
    );
  });
});

/** What a server of the same registry says of its start. */
const failing = (config: ServerConfig) => failureOf(userMachine({ config }).then((machine) => machine[Symbol.asyncDispose]()));

test('with offline, what would have to be fetched is refused by name before anything is started', async () => {
  const opencodeConfig = {
    plugin: [['demo-plugin', { loud: true }], './own.js'],
    mcp: { demo: { type: 'local', command: ['npx', '-y', 'demo-mcp'] } },
  };
  const error = await failing({ offline: true, opencodeConfig });
  expect(error).toMatchObject({
    code: 'PACKAGE_UNAVAILABLE',
    message: expect.stringContaining('demo-plugin (plugin), demo-mcp (MCP server demo)'),
  });
});

test('with strict, a plugin that fails is an error', async () => {
  await using registry = await startRegistry(packages);
  const error = await failing({
    strict: true,
    env: { npm_config_registry: registry.url },
    opencodeConfig: { plugin: ['broken-plugin@1.0.0'] },
  });
  expect(error).toMatchObject({ code: 'PACKAGE_UNAVAILABLE', message: expect.stringContaining('broken on purpose') });
});

test("with projectConfig 'all', the workspace's own directories stay offline", async () => {
  await using registry = await startRegistry(packages);
  await using machine = await userMachine({
    files: {
      '.opencode/package.json': JSON.stringify({ dependencies: { 'demo-library': '1.0.0' } }),
      'opencode.json': JSON.stringify({ plugin: ['demo-plugin'] }),
    },
    config: { projectConfig: 'all', env: { npm_config_registry: registry.url } },
  });
  expect(await machine.tool('echo still works')).toBe('still works');
  expect(registry.asked).toEqual([]);
});
