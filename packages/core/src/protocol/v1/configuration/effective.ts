import { isMap } from '../../../config/given/merge.ts';
import type { OpencodeConfig } from '../../../config/jsonc.ts';
import { OpencodeManagerError } from '../../../errors/error.ts';
import type { ConfigurationSettings, EffectiveConfig, GivenConfiguration } from '../../configuration.ts';
import { withGuardedEdits } from './guarded-edits.ts';

/** What a headless run pays for and does not use; the user's own settings win over these. */
const profileDefaults: Readonly<Record<ConfigurationSettings['profile'], OpencodeConfig>> = {
  batch: { snapshot: false, lsp: false, formatter: false },
  interactive: { snapshot: true },
};

/**
 * The configuration for one server: the profile's defaults, then what the user handed over, then what isolation fixes. `username` is a
 * sentinel: the running server must report it back.
 * @throws `CREDENTIALS_MISSING`
 */
export function effectiveConfig(
  { profile, projectConfig, enabledProviders, runId, modelsInFiles }: ConfigurationSettings,
  { config: given, substitutions, unset }: GivenConfiguration,
): EffectiveConfig {
  const all: OpencodeConfig = { ...profileDefaults[profile], ...given };
  const model = typeof all['model'] === 'string' ? all['model'] : undefined;
  const providers = enabledProviders ?? listOfStrings(all['enabled_providers']) ?? providersOf([...modelsOf(all), ...modelsInFiles]);
  const missing = unset.find(({ path }) => isKeyOf(path, mainProvider(all)));
  if (missing) throw keyNotSet(missing.name, missing.path);
  const written = projectConfig === 'all' ? { merged: all, relative: [] } : withoutRelativeInstructions(all);
  const config = withGuardedEdits({
    ...written.merged,
    username: runId,
    autoupdate: false,
    share: 'disabled',
    enabled_providers: providers,
  });
  return {
    config,
    inOlderForm: config,
    providers,
    model,
    snapshots: all['snapshot'] !== false,
    referencedVariables: [...new Set(substitutions.filter(({ kind }) => kind === 'env').map(({ target }) => target))],
    instructions: written.relative,
    notes: unset.map(
      ({ name, path }) => `opencodeConfig: {env:${name}} in ${path.join('.')} is not set; it counts as an empty text, as in opencode`,
    ),
  };
}

/** Without project configuration, opencode looks for relative instructions in the server's own configuration directory. */
function withoutRelativeInstructions(config: OpencodeConfig): { merged: OpencodeConfig; relative: string[] } {
  const entries = config['instructions'];
  if (!Array.isArray(entries)) return { merged: config, relative: [] };
  const isRelative = (entry: unknown): entry is string => typeof entry === 'string' && !/^(?:\/|~\/|https?:\/\/)/.test(entry);
  const relative = entries.filter(isRelative);
  if (relative.length === 0) return { merged: config, relative };
  return { merged: { ...config, instructions: entries.filter((entry) => !isRelative(entry)) }, relative };
}

/** The provider that answers a prompt which names no model. */
function mainProvider(config: OpencodeConfig): string | undefined {
  const agents = config['agent'];
  const agent = isMap(agents) ? agents[typeof config['default_agent'] === 'string' ? config['default_agent'] : 'build'] : undefined;
  const model = (isMap(agent) ? agent['model'] : undefined) ?? config['model'];
  return typeof model === 'string' ? providersOf([model])[0] : undefined;
}

/** In the form of either opencode. */
function isKeyOf([section, provider, options, key, ...rest]: readonly string[], wanted: string | undefined): boolean {
  if (provider !== wanted || key !== 'apiKey' || rest.length > 0) return false;
  return (section === 'provider' && options === 'options') || (section === 'providers' && options === 'settings');
}

function keyNotSet(name: string, path: readonly string[]): OpencodeManagerError {
  return new OpencodeManagerError(
    'CREDENTIALS_MISSING',
    `opencodeConfig: ${path.join('.')} is {env:${name}}, and ${name} is not set, so the provider of the configured model has no key. Set it (to an empty text, if the provider needs none). Nothing was sent.`,
    { details: { variable: name, field: path.join('.') } },
  );
}

/** Every `provider/model` that a configuration names: its own, its agents', modes' and commands'. */
function modelsOf(config: OpencodeConfig): string[] {
  const named = [config['model'], config['small_model']];
  for (const section of ['agent', 'agents', 'mode', 'command', 'commands']) {
    const entries = config[section];
    if (isMap(entries)) for (const entry of Object.values(entries)) if (isMap(entry)) named.push(entry['model']);
  }
  return named.filter((model): model is string => typeof model === 'string');
}

function providersOf(models: readonly string[]): string[] {
  return [...new Set(models.map((model) => model.split('/')[0]!).filter((provider) => provider !== ''))];
}

function listOfStrings(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : undefined;
}
