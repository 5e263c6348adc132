import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OpencodeServer } from '@opencode-manager/core';
import { protocolNamed } from '@opencode-manager/core/protocol';
import { temporaryWorkspace, type TemporaryWorkspace } from '@opencode-manager/testing';
import { cataloguedProviders } from '../src/protocol/v1/configuration/catalogued-providers.ts';
import { needsModelCatalogue } from '../src/protocol/v1/configuration/model-catalogue.ts';
import { startBench, type Bench } from './support/server.ts';
import { by } from './support/tested.ts';

/** A server as the `batch` profile starts it. */
let bench: Bench;
beforeAll(async () => {
  bench = await startBench([{ reply: 'Done.' }]);
});
afterAll(() => bench[Symbol.asyncDispose]());

/** One with a configuration directory, for which the configuration of a workspace counts too. Its providers are in the catalogue of models. */
let own: Bench;
let given: TemporaryWorkspace;
let givenBefore: string[];
const filesOf = ({ path }: TemporaryWorkspace) => readdir(path, { recursive: true });
beforeAll(async () => {
  given = await temporaryWorkspace({
    git: false,
    files: {
      'opencode.json': JSON.stringify({ command: { told: { template: '{file:./words.txt}' } } }),
      'words.txt': 'from a file beside the configuration',
      'command/hello.md': '---\ndescription: says hello\n---\nsay hello $1\n',
      'agent/careful.md': '---\ndescription: works with care\nmode: primary\nmodel: anthropic/claude-sonnet-5\n---\nBe careful.\n',
      'package.json': JSON.stringify({ dependencies: { greeting: '1.0.0' } }),
      'node_modules/greeting/package.json': JSON.stringify({ name: 'greeting', version: '1.0.0', type: 'module', exports: './index.js' }),
      'node_modules/greeting/index.js': "export const greeting = 'good day'\n",
      'plugin/greet.js': greetingPlugin,
    },
  });
  givenBefore = (await filesOf(given)).toSorted();
  own = await startBench(
    [
      { when: { toolResult: /./ }, reply: 'Greeted.' },
      { reply: { toolCalls: [{ name: 'bash', arguments: { command: 'echo "said: $GREETING"', description: 'greet' } }] } },
    ],
    {
      projectConfig: 'all',
      opencodeConfigDir: given.path,
      // Without a list of its own, so that the one that is made counts.
      opencodeConfig: { enabled_providers: undefined },
      env: { ANTHROPIC_API_KEY: 'sk-not-used' },
    },
  );
});
afterAll(async () => {
  await own?.[Symbol.asyncDispose]();
  await given?.[Symbol.asyncDispose]();
});

describe('no installation of packages is tried', () => {
  test('after a turn in two directories, npm was neither loaded nor missed', async () => {
    await using other = await temporaryWorkspace({ files: { 'b.txt': 'b\n' } });
    for (const directory of [bench.workspace.path, other.path]) {
      const session = await bench.server.createSession({ directory });
      expect((await session.prompt('go')).text).toBe('Done.');
    }
    const { stateDir } = bench.server;
    expect(await readFile(join(stateDir, 'data', 'opencode', 'log', 'opencode.log'), 'utf8')).not.toContain('install failed');
    await expect(stat(join(stateDir, 'home', '.npm'))).rejects.toThrow(/ENOENT/);
  });

  test('a configuration directory is copied with its packages, which its plugins use; what it refers to is found from where it was', async () => {
    const session = await own.server.createSession();
    expect((await session.prompt('greet')).text).toBe('Greeted.');
    expect(JSON.stringify(own.model.calls)).toContain('said: good day');

    const known = await own.server.catalogue();
    expect(known.commands).toEqual(expect.arrayContaining(['hello', 'told']));
    expect(known.agents).toContain('careful');
    const { configuration } = protocolNamed(own.server.protocol).confirmation;
    const answer = await own.server.client.call(configuration.request(own.server.directory));
    expect(JSON.stringify(answer)).toContain('"told":{"template":"from a file beside the configuration"}');
    expect((configuration.decode(answer)['enabled_providers'] as string[]).toSorted()).toEqual(['anthropic', 'scripted']);
    expect((await filesOf(given)).toSorted()).toEqual(givenBefore);
  });
});

const greetingPlugin = `import { greeting } from 'greeting'
${by({
  v1: "export const Greet = async () => ({ 'shell.env': async (input, output) => { output.env.GREETING = greeting } })",
  v2: "export default { id: 'greet', setup: (context) => context.shell.hook('create.before', ({ env }) => { env.GREETING = greeting }) }",
})}
`;

describe('what a directory offers', () => {
  const ownConfiguration = {
    'opencode.json': JSON.stringify({ command: { asked: { template: 'say it' } } }),
    '.opencode/command/welcome.md': 'say welcome $1\n',
    '.opencode/agent/wary.md': '---\nmode: primary\n---\nBe wary.\n',
  };
  const namesAt = async ({ client, protocol }: OpencodeServer, directory: string) => {
    const calls = protocolNamed(protocol).calls(client);
    const [{ agents }, commands] = await Promise.all([calls.offers(directory), calls.commands(directory)]);
    return { agents: agents.map(({ name }) => name), commands: commands.map(({ name }) => name) };
  };

  test('is asked for once, where the configuration of a workspace does not count', async () => {
    await using other = await temporaryWorkspace({ files: ownConfiguration });
    const known = await bench.server.catalogue(other.path);
    const again = await bench.server.catalogue();
    expect(again).toEqual(known);
    // The very answer of the server.
    expect(again.agents).toBe(known.agents);
    expect(await namesAt(bench.server, other.path)).toEqual({ agents: known.agents, commands: known.commands });
  });

  test('is asked for at each directory, where it counts', async () => {
    await using other = await temporaryWorkspace({ files: ownConfiguration });
    const [known, there] = [await own.server.catalogue(), await own.server.catalogue(other.path)];
    expect(there.commands).toEqual(expect.arrayContaining(['asked', 'welcome']));
    expect(there.agents).toContain('wary');
    expect(known.commands).not.toContain('asked');
    expect(known.agents).not.toContain('wary');
  });
});

describe('the catalogue of models', () => {
  test('is needed for a provider that it has, and where nobody knows', () => {
    const { version } = cataloguedProviders;
    expect(needsModelCatalogue(['scripted', 'local'], version)).toBe(false);
    expect(needsModelCatalogue(['scripted', 'anthropic'], version)).toBe(true);
    expect(needsModelCatalogue(['scripted'], '1.99.0')).toBe(true);
  });

  test('is spared where no enabled provider is in it, and used where one is', async () => {
    expect(await offerOf(bench.server)).toEqual({ models: scriptedModels, spared: true });
    const { models, spared } = await offerOf(own.server);
    expect(spared).toBe(false);
    expect(models).toEqual(expect.arrayContaining(scriptedModels));
    expect(models.filter((name) => name.startsWith('anthropic/claude-')).length).toBeGreaterThan(3);
  });
});

const scriptedModels = ['scripted/model', 'scripted/small'];

async function offerOf(server: OpencodeServer) {
  const environment = await readFile(`/proc/${server.pid}/environ`, 'latin1');
  return { models: (await server.catalogue()).models, spared: environment.includes('OPENCODE_MODELS_PATH=') };
}
