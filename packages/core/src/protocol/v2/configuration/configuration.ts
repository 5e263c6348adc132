import type { OpencodeConfig } from '../../../config/jsonc.ts';
import type {
  ConfigurationSettings,
  DirectoryFilesInput,
  EffectiveConfig,
  GivenConfiguration,
  ProtocolConfiguration,
} from '../../configuration.ts';
// Both read files of the form of opencode 1: most users have one still, and opencode 2 turns it into its own, key by key.
import { configText } from '../../v1/configuration/configuration.ts';
import { effectiveConfig } from '../../v1/configuration/effective.ts';
import { withGuardedRules } from '../../v1/configuration/guarded-edits.ts';
import { managerPlugin } from '../plugins/manager-plugin.ts';
import { withGuardedEdits } from './guarded-edits.ts';

/** The configuration of opencode 2, and the plugin of ours that it loads. */
export const configurationV2: ProtocolConfiguration = {
  effective,
  // What is built of the catalogue depends on the policies of providers alone.
  needsModelCatalogue: () => true,
  text: configText,
  directoryFiles: (input: DirectoryFilesInput) => ({ 'plugins/opencode-manager-host.js': managerPlugin(input) }),
  sessionRules: withGuardedRules,
};

/** @throws `CREDENTIALS_MISSING` */
function effective(settings: ConfigurationSettings, given: GivenConfiguration): EffectiveConfig {
  const { config, ...known } = effectiveConfig(settings, given);
  const snapshots = given.config['snapshots'];
  const model = modelText(given.config['model']) ?? known.model;
  return {
    ...known,
    model,
    ...(typeof snapshots === 'boolean' && { snapshots }),
    config: withGuardedEdits(
      withApiKeys(
        withDepth(typeof snapshots === 'boolean' ? { ...config, snapshot: snapshots } : config),
        known.providers,
        settings.apiKeys,
      ),
    ),
  };
}

/** opencode 2 has this key of opencode 1 at another place, and does not move it there. */
function withDepth({ subagent_depth: depth, ...config }: OpencodeConfig): OpencodeConfig {
  if (typeof depth !== 'number') return config;
  const experimental = config['experimental'] as OpencodeConfig | undefined;
  return { ...config, experimental: { subagent_depth: depth, ...experimental } };
}

/** opencode 2 keeps keys in its database, and has none for a provider of a configuration: those of an auth file stand in that. Keys that stand there already win. */
function withApiKeys(config: OpencodeConfig, providers: readonly string[], keys: Readonly<Record<string, string>> = {}): OpencodeConfig {
  const entries = mapOf(config['provider']);
  const newer = mapOf(config['providers']);
  const added = providers.flatMap((id) => {
    const entry = mapOf(entries[id]);
    const options = mapOf(entry['options']);
    const has = options['apiKey'] !== undefined || mapOf(mapOf(newer[id])['settings'])['apiKey'] !== undefined;
    return keys[id] === undefined || has ? [] : [[id, { ...entry, options: { ...options, apiKey: keys[id] } }] as const];
  });
  return added.length === 0 ? config : { ...config, provider: { ...entries, ...Object.fromEntries(added) } };
}

function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** opencode 2 takes a model as an object, too. */
function modelText(model: unknown): string | undefined {
  const { providerID, id } = (typeof model === 'object' && model !== null ? model : {}) as OpencodeConfig;
  return typeof providerID === 'string' && typeof id === 'string' ? `${providerID}/${id}` : undefined;
}
