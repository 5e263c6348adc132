// Which settings of opencode make a batch fast: the `batch` profile, and the same with one switch the other way.
//
//   pnpm bench settings
//
// A bare server and a bare loop, ten prompts at once with an instant scripted model in one git repository: nothing of this
// project is measured here but its choice of settings.
import { join } from 'node:path';
import { bareLoop, cpuSecondsOfTree, runCase, startBareServer, type Metrics, type Settings, type Variant } from '@opencode-manager/bench';
import { findBinary } from '@opencode-manager/core';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';

/** What is other than in the `batch` profile. */
interface Switch {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  readonly files?: number;
  readonly git?: boolean;
  readonly titles?: 'generated';
}

const batchConfig = { snapshot: false, lsp: false, formatter: false, share: 'disabled', autoupdate: false };
const batchEnv = {
  OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
  OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER: '1',
  OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
  OPENCODE_DISABLE_PROJECT_CONFIG: '1',
  OPENCODE_DISABLE_CLAUDE_CODE: '1',
  OPENCODE_DISABLE_EXTERNAL_SKILLS: '1',
  Malloc: '1',
};

/** An empty variable is left out. */
const switches: Readonly<Record<string, Switch>> = {
  'batch profile': {},
  "the engine's own allocator": { env: { Malloc: '' } },
  'snapshots on': { config: { snapshot: true } },
  'default plugins on': { env: { OPENCODE_DISABLE_DEFAULT_PLUGINS: '' } },
  'LSP on': { config: { lsp: true } },
  'formatter on': { config: { formatter: true } },
  'file watcher on': { env: { OPENCODE_EXPERIMENTAL_DISABLE_FILEWATCHER: '' } },
  'project configuration and skills on': {
    env: { OPENCODE_DISABLE_PROJECT_CONFIG: '', OPENCODE_DISABLE_CLAUDE_CODE: '', OPENCODE_DISABLE_EXTERNAL_SKILLS: '' },
  },
  'titles generated': { titles: 'generated' },
  'catalogue of models read': { env: { OPENCODE_MODELS_PATH: '' } },
  // To a port of this machine on which nobody listens: benchmarks connect to nothing else.
  'models fetch on, refused': {
    env: { OPENCODE_MODELS_PATH: '', OPENCODE_DISABLE_MODELS_FETCH: '0', OPENCODE_MODELS_URL: 'http://127.0.0.1:9' },
  },
  'log level DEBUG': { flags: ['--log-level', 'DEBUG'] },
  'log level ERROR': { flags: ['--log-level', 'ERROR'] },
  '3,000 files': { files: 3000 },
  '3,000 files, snapshots on': { files: 3000, config: { snapshot: true } },
  'outside git': { git: false },
};

await runCase(
  Object.fromEntries(Object.entries(switches).map(([name, one]): [string, Variant] => [name, (settings) => measure(one, settings)])),
);

async function measure(one: Switch, { prompts = 60, concurrency = 10 }: Settings): Promise<Metrics> {
  await using model = await startScriptedModel({ rules: [{ reply: 'Done.' }] });
  await using workspace = await temporaryWorkspace({ files: filesOf(one.files ?? 1), git: one.git ?? true });
  const config = { ...model.opencodeConfig(), ...batchConfig, ...one.config };
  await using home = await temporaryWorkspace({ files: { 'opencode.json': JSON.stringify(config), 'no-models.json': '{}' } });
  const { path: binary } = await findBinary();
  const profile = { ...batchEnv, OPENCODE_MODELS_PATH: join(home.path, 'no-models.json') };
  const env = Object.fromEntries(Object.entries({ ...profile, ...one.env }).filter(([, value]) => value !== ''));
  await using server = await startBareServer({ binary, directory: workspace.path, home: home.path, env, flags: one.flags ?? [] });
  await using loop = await bareLoop(server, one.titles === 'generated' ? {} : { title: 'bench' });
  await loop.run(concurrency, concurrency);
  const before = await cpuSecondsOfTree(server.pid);
  const startedAtMs = performance.now();
  await loop.run(prompts, concurrency);
  const seconds = (performance.now() - startedAtMs) / 1000;
  return { cpuSecondsPerPrompt: ((await cpuSecondsOfTree(server.pid)) - before) / prompts, promptsPerSecond: prompts / seconds };
}

function filesOf(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`src/part-${index % 50}/file-${index}.ts`, `export const value = ${index};\n`]),
  );
}
