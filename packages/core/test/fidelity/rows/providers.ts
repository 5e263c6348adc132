import { custom, global, scripted, type Row } from '../row.ts';

const { provider } = scripted;

/** Providers and models, as the documentation and public configurations have them. */
export const providerRows: readonly Row[] = [
  custom('no model at all', { provider: {} }),
  custom(
    'providers: options of one that is known',
    {
      model: 'anthropic/claude-sonnet-4-5',
      small_model: 'anthropic/claude-haiku-4-5',
      provider: { anthropic: { options: { timeout: 600_000, chunkTimeout: 30_000, setCacheKey: true, apiKey: 'k-anthropic-row' } } },
    },
    { catalogue: true },
  ),
  custom('providers: a local one', {
    model: 'ollama/llama2',
    provider: {
      ollama: {
        npm: '@ai-sdk/openai-compatible',
        name: 'Ollama (local)',
        options: { baseURL: 'http://localhost:11434/v1' },
        models: { llama2: { name: 'Llama 2' } },
      },
    },
  }),
  custom(
    'providers: headers, limits, costs, variants',
    {
      ...scripted,
      provider: {
        scripted: {
          ...provider.scripted,
          options: { ...provider.scripted.options, headers: { 'X-Team': 'a' } },
          models: {
            model: {
              id: 'renamed-model',
              name: 'M',
              reasoning: true,
              attachment: true,
              temperature: false,
              tool_call: true,
              limit: { context: 200_000, output: 65_536 },
              cost: { input: 1, output: 2, cache_read: 0.1 },
              modalities: { input: ['text', 'image'], output: ['text'] },
              options: { reasoningEffort: 'high' },
              variants: { fast: { reasoningEffort: 'low' }, off: { disabled: true } },
              headers: { 'X-Model': 'm' },
            },
            small: {},
          },
        },
      },
    },
    { turns: [{ prompt: 'x' }] },
  ),
  custom('providers: only some models', {
    ...scripted,
    provider: { scripted: { ...provider.scripted, whitelist: ['model', 'small'], blacklist: ['small'] } },
  }),
  custom('providers: enabled and disabled', {
    ...scripted,
    enabled_providers: ['scripted', 'spare'],
    disabled_providers: ['spare'],
    provider: { ...provider, spare: { npm: '@ai-sdk/openai-compatible', models: { m: {} } } },
  }),
  custom(
    'providers: a key from the environment',
    { model: 'anthropic/claude-sonnet-4-5', provider: { anthropic: { models: {}, options: { apiKey: '{env:FIDELITY_ANTHROPIC_KEY}' } } } },
    { catalogue: true, env: { FIDELITY_ANTHROPIC_KEY: 'k-from-the-environment' } },
  ),
  custom(
    'providers: bedrock with a region',
    {
      model: 'amazon-bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0',
      provider: { 'amazon-bedrock': { options: { region: 'us-east-1', profile: 'mine', endpoint: 'https://bedrock.example.com' } } },
    },
    { catalogue: true },
  ),
  custom(
    'providers: a package by path',
    { ...scripted, provider: { scripted: { ...provider.scripted, npm: 'file://@CONF@/sdk/index.js' } } },
    { files: { 'conf/sdk/index.js': 'export const createX = () => ({})' } },
  ),
  global('small things that count', {
    ...scripted,
    logLevel: 'WARN',
    compaction: { auto: true, prune: false, reserved: 10_000 },
    watcher: { ignore: ['node_modules/**'] },
    tool_output: { max_lines: 10, max_bytes: 1000 },
    enterprise: { url: 'https://example.com' },
    layout: 'auto',
    subagent_depth: 2,
    experimental: { batch_tool: true, mcp_timeout: 900, primary_tools: ['x'], continue_loop_on_deny: true },
  }),
  global(
    'things of the terminal',
    { ...scripted, theme: 'tokyonight', keybinds: { leader: 'ctrl+x' }, tui: { scroll_speed: 3 } },
    { files: { 'home/.config/opencode/tui.json': '{"theme":"x"}', 'home/.config/opencode/themes/x.json': '{}' } },
  ),
  custom('sharing, updates and the server', {
    ...scripted,
    share: 'manual',
    autoupdate: 'notify',
    server: { port: 4096, hostname: '0.0.0.0', mdns: false, cors: ['http://localhost:5173'] },
  }),
  custom('snapshots, formatters and LSP on', { ...scripted, snapshot: true, lsp: true, formatter: true }),
  custom(
    'fields of the next version',
    {
      ...scripted,
      snapshots: false,
      agents: { next: { system: 'Next.', model: 'scripted/other', disabled: false } },
      commands: { nextc: { template: 'Next command', model: 'scripted/other' } },
      skills: ['~/skills'],
      mcp: { servers: { s: { type: 'local', command: ['true'], disabled: true } } },
    },
    { files: { 'home/skills/one/SKILL.md': '---\nname: one\ndescription: One skill.\n---\nOne.' } },
  ),
];
