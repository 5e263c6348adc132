import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { launchServer } from '@opencode-manager/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { privateRoot } from './support/private-root.ts';
import { startBench, type Bench } from './support/server.ts';
import { by, isV2 } from './support/tested.ts';

// What a user's own setup means in plain opencode, above all where opencode 2 differs from 1. For opencode 1 `fidelity.test.ts` compares far more.

let bench: Bench;
beforeAll(async () => {
  bench = await startBench(
    [],
    {},
    { 'CLAUDE.md': 'says the file for Claude', 'CONTEXT.md': 'says the context', 'RULES.md': 'says the rules' },
  );
});
afterAll(() => bench?.[Symbol.asyncDispose]());

/** A server with more configuration than the model, and with a directory of it. */
async function serverWith(config: object, files?: Readonly<Record<string, string | object>>) {
  const root = await privateRoot();
  for (const [name, content] of Object.entries(files ?? {})) {
    await mkdir(dirname(join(root.path, name)), { recursive: true });
    await writeFile(join(root.path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  const server = await launchServer({
    directory: bench.workspace.path,
    opencodeConfig: { ...bench.model.opencodeConfig(), ...config },
    ...(files && { opencodeConfigDir: root.path }),
  });
  return {
    server,
    async ask(agent?: string) {
      await (await server.createSession()).prompt('hello', agent === undefined ? {} : { agent });
      return bench.model.turnCalls.at(-1)!;
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await root[Symbol.asyncDispose]();
    },
  };
}

const deny = (action: string) => ({ action, resource: '*', effect: 'deny' });
const skill = (name: string) => `---\nname: ${name}\ndescription: The ${name} skill.\n---\nDo it.`;

test('a CLAUDE.md of the workspace reaches the model where opencode reads it itself', async () => {
  await (await bench.server.createSession()).prompt('hello');
  const { system } = bench.model.turnCalls.at(-1)!;
  expect([system.includes('says the file for Claude'), system.includes('says the context')]).toEqual([by({ v1: true, v2: false }), false]);
});

test('edits that an agent may not make at all are not offered to it', async () => {
  const agent = by({
    v1: { agent: { reader: { mode: 'primary', permission: { edit: 'deny' } } } },
    v2: { agents: { reader: { mode: 'primary', permissions: [deny('edit')] } } },
  });
  await using own = await serverWith(agent);
  expect((await own.ask('reader')).tools.filter((name) => /^(?:edit|write|patch)$/.test(name))).toEqual([]);
});

describe('a configuration that opencode takes is not refused', () => {
  test('a provider that is enabled and disabled is disabled', async () => {
    const spare = { npm: '@ai-sdk/openai-compatible', options: { baseURL: 'http://127.0.0.1:9/v1' }, models: { m: {} } };
    const { provider } = bench.model.opencodeConfig();
    const lists = { enabled_providers: ['scripted', 'spare'], disabled_providers: ['spare'] };
    await using own = await serverWith({ provider: { ...provider, spare }, ...lists });
    expect((await own.server.catalogue()).models.filter((name) => name.startsWith('spare/'))).toEqual([]);
  });

  test.skipIf(!isV2)('updates and the model of titles in the form of opencode 2 (opencode 2 only: 1 has no such keys)', async () => {
    await using own = await serverWith({ update: 'notify', agents: { title: { model: 'scripted/model' } } });
    expect((await own.ask()).model).toBe('model');
  });
});

describe.skipIf(!isV2)('a directory and a file over it (opencode 2 only: opencode 1 joins them otherwise, see fidelity.test.ts)', () => {
  test('the lists of both count, and of agents in markdown that the directory has too, markdown', async () => {
    const files = {
      'one/first/SKILL.md': skill('first'),
      'two/second/SKILL.md': skill('second'),
      'agents/build.md': 'Builds as markdown says.',
      'agents/reader.md': '---\nmode: primary\n---\nReads as markdown says.',
    };
    await using root = await privateRoot();
    const paths = ['one', 'two'].map((name) => join(root.path, name));
    for (const [name, text] of Object.entries(files).slice(0, 2)) {
      await mkdir(dirname(join(root.path, name)), { recursive: true });
      await writeFile(join(root.path, name), text);
    }
    const directory = {
      skills: [paths[0]],
      agents: { build: { system: 'Builds as JSON says.' }, reader: { system: 'Reads as JSON says.', permissions: [deny('edit')] } },
    };
    const above = { skills: [paths[1]], agents: { reader: { system: 'Reads as the file says.', permissions: [deny('webfetch')] } } };
    await using own = await serverWith(above, { ...files, 'opencode.json': directory });
    const build = await own.ask();
    expect(['Builds as markdown says.', '<id>first</id>', '<id>second</id>'].filter((text) => !build.system.includes(text))).toEqual([]);
    const reader = await own.ask('reader');
    expect(reader.system).toContain('Reads as the file says.');
    expect(reader.tools.filter((name) => /^(?:edit|write|patch|webfetch)$/.test(name))).toEqual([]);
  });

  test('the file of the directory may be of the older form, and its rules hold', async () => {
    const directory = { permission: { edit: 'deny' }, agent: { reader: { mode: 'primary', prompt: 'Reads as it did.' } } };
    await using own = await serverWith({ agents: { reader: { description: 'reads' } } }, { 'opencode.json': directory });
    const { system, tools } = await own.ask('reader');
    expect([system.includes('Reads as it did.'), tools.includes('write')]).toEqual([true, false]);
  });
});

test('files that the configuration names as instructions reach the model where opencode reads them itself; else a note says so', async () => {
  await using own = await serverWith({ instructions: ['RULES.md'] });
  expect((await own.ask()).system.includes('says the rules')).toBe(by({ v1: true, v2: false }));
  expect(own.server.notes().filter((note) => note.startsWith('opencodeConfig: instructions is not used'))).toHaveLength(
    by({ v1: 0, v2: 1 }),
  );
});
