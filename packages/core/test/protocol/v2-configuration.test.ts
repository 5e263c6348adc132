import { expect, test } from 'vitest';
import { configurationV2 } from '../../src/protocol/v2/configuration/configuration.ts';
import { inOlderForm } from '../../src/protocol/v2/configuration/older-form.ts';

const settings = { profile: 'batch', projectConfig: 'instructions', runId: 'run_1', modelsInFiles: [] } as const;
const effective = (config: object, more: object = {}) =>
  configurationV2.effective({ ...settings, ...more }, { config: { ...config }, substitutions: [], unset: [] });
const probed = ['lmstudio', 'ollama', 'vllm'].map((name) => `-opencode.provider.${name}`);

test('a configuration of the form of opencode 2 says the same under the names of opencode 1', () => {
  expect(
    inOlderForm({
      model: { providerID: 'a', model: 'one', variant: 'fast' },
      snapshots: true,
      plugins: ['-opencode.browser', '*', 'opencode.plan', 'alone', { package: 'file:///with', options: { x: 1 } }],
      providers: { a: { package: 'aisdk:@ai-sdk/a', settings: { apiKey: 'k' }, models: {} } },
      agents: { gone: { disabled: true, model: 'b/two#slow' } },
      commands: { go: { template: 'go', model: { providerID: 'c', model: 'three' } } },
      mcp: { timeout: { startup: 1 }, servers: { off: { type: 'local', command: ['x'], disabled: true } } },
    }),
  ).toMatchObject({
    model: 'a/one',
    snapshot: true,
    plugin: ['alone', ['file:///with', { x: 1 }]],
    provider: { a: { npm: '@ai-sdk/a', options: { apiKey: 'k' }, models: {} } },
    agent: { gone: { disable: true, model: 'b/two' } },
    command: { go: { template: 'go', model: 'c/three' } },
    mcp: { off: { command: ['x'], enabled: false } },
  });
});

test('of keys of both forms none is lost; an MCP server of opencode 1 may be called servers', () => {
  const older = inOlderForm({
    provider: { a: { npm: 'x' } },
    providers: { b: {} },
    plugin: ['one'],
    plugins: ['two'],
    mcp: { servers: { type: 'local', command: ['x'] } },
  });
  expect(older).toMatchObject({ provider: { a: {}, b: {} }, plugin: ['one', 'two'], mcp: { servers: { command: ['x'] } } });
});

test('what the server gets is as the user wrote it', () => {
  const plugins = ['./p', { package: 'file:///with', options: {} }];
  const { config, model } = effective({ model: { providerID: 'a', model: 'one' }, plugins, agents: { r: { disabled: true } } });
  expect(model).toBe('a/one');
  expect(config).toMatchObject({
    model: { providerID: 'a', model: 'one' },
    plugins: [...probed, ...plugins],
    agents: { r: { disabled: true } },
  });
  expect(config).not.toHaveProperty('plugin');
});

test.each([
  [{ model: 'a/one' }, {}, ['a']],
  [{ model: { providerID: 'a', model: 'one' }, agents: { r: { model: 'b/two#fast' } } }, {}, ['a', 'b']],
  [{ model: 'a/one', experimental: { policies: [policy('*', 'deny'), policy('b', 'allow')] } }, {}, ['b']],
  [{ model: 'a/one', agents: { r: { model: 'b/two' } }, experimental: { policies: [policy('b', 'deny')] } }, {}, ['a']],
  [{ model: 'a/one', experimental: { policies: [policy('a', 'deny')] } }, { enabledProviders: ['a'] }, ['a']],
])('the providers that may be used are decided once: %j %j', (given, more, providers) => {
  const found = effective(given, more);
  expect(found.providers).toEqual(providers);
  expect(found.config['enabled_providers']).toEqual(providers);
  expect(found.config['experimental'] ?? {}).not.toHaveProperty('policies');
});

test('policies of something else stay', () => {
  const other = { action: 'other.thing', resource: 'x', effect: 'deny' };
  const { config } = effective({ model: 'a/one', experimental: { policies: [policy('b', 'deny'), other], x: 1 } });
  expect(config['experimental']).toEqual({ policies: [other], x: 1 });
});

test('the machine of the user is not asked for providers, unless they are wanted', () => {
  expect(effective({ model: 'a/one' }).config['plugins']).toEqual(probed);
  expect(effective({ model: 'ollama/one' }).config['plugins']).toEqual(probed.filter((name) => !name.endsWith('ollama')));
});

function policy(resource: string, effect: string): object {
  return { action: 'provider.use', resource, effect };
}
