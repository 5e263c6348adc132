import type { OpencodeConfig } from '../../../config/jsonc.ts';
import type {
  ConfigurationSettings,
  DirectoryFilesInput,
  EffectiveConfig,
  GivenConfiguration,
  ProtocolConfiguration,
} from '../../configuration.ts';
// Both read files of the form of opencode 1: most users have one still, and opencode 2 turns it into its own, key by key.
import { cataloguedProviders } from '../../v1/configuration/catalogued-providers.ts';
import { configText } from '../../v1/configuration/configuration.ts';
import { effectiveConfig } from '../../v1/configuration/effective.ts';
import { needsModelCatalogue } from '../../v1/configuration/model-catalogue.ts';
import { withGuardedRules } from '../../v1/configuration/guarded-edits.ts';
import { managerPlugin } from '../plugins/manager-plugin.ts';
import { withGuardedEdits } from './guarded-edits.ts';
import { policiesOf } from './loaded.ts';
import { inOlderForm } from './older-form.ts';
import { inTwoFiles } from './two-files.ts';

/** It carries no provider that is missing in the list of opencode 1; checked by `test/catalogued-providers.test.ts`. */
const sameCatalogueVersion = '2.0.15';

/** The configuration of opencode 2, and the plugin of ours that it loads. */
export const configurationV2: ProtocolConfiguration = {
  effective,
  needsModelCatalogue: (providers, version) =>
    version !== sameCatalogueVersion || needsModelCatalogue(providers, cataloguedProviders.version),
  text: configText,
  directoryFiles: (input: DirectoryFilesInput) => ({
    'plugins/opencode-manager-host.js': managerPlugin(input),
    ...(input.directoryConfig && { 'opencode.json': configText(input.directoryConfig) }),
  }),
  packages: {
    directoryOf: (_kind, _spec, versioned) => `opencode/npm/${versioned}`,
    byInstallation: true,
    configDirectory: false,
  },
  readsAboveRepository: true,
  instructionFiles: ['AGENTS.md'],
  sessionRules: withGuardedRules,
};

/** @throws `CREDENTIALS_MISSING` */
function effective(settings: ConfigurationSettings, given: GivenConfiguration): EffectiveConfig {
  const older = { ...given, config: { ...inOlderForm(given.config), ...smallModelOf(given) } };
  const providers = settings.enabledProviders ?? withoutDenied(effectiveConfig(settings, older).providers, given.config);
  const known = effectiveConfig({ ...settings, enabledProviders: providers }, older);
  const { above, beneath, isGuardedBeneath } = inTwoFiles(given);
  // What is missing was told with the whole. Updates are off under the name of opencode 1, which that of opencode 2 would go over.
  const toWrite = { ...given, config: without(withoutPolicies(above), 'update'), unset: [] };
  const { config } = effectiveConfig({ ...settings, enabledProviders: providers }, toWrite);
  const { snapshots } = given.config;
  const written = withoutProbes(withDepth(typeof snapshots === 'boolean' ? { ...config, snapshot: snapshots } : config), providers);
  return {
    ...known,
    config: withGuardedEdits(
      withApiKeys(isGuardedBeneath ? { ...written, permission: above['permission'] } : written, providers, settings.apiKeys),
    ),
    ...(beneath && { directoryConfig: beneath }),
    ...withoutInstructions(given.config, known.notes),
  };
}

/** opencode 2 takes the key, and reads none of the files. */
function withoutInstructions(
  { instructions: named }: OpencodeConfig,
  notes: readonly string[],
): Pick<EffectiveConfig, 'instructions' | 'notes'> {
  const note =
    'opencodeConfig: instructions is not used: opencode 2 takes the key and reads none of the files. Put them into an AGENTS.md.';
  return { instructions: [], notes: Array.isArray(named) && named.length > 0 ? [...notes, note] : notes };
}

/** As opencode 2 has it: that of the file that counts last. */
function smallModelOf({ config, places }: GivenConfiguration): OpencodeConfig {
  const ofPlace = (place: OpencodeConfig | undefined) => (place ? inOlderForm(place)['small_model'] : undefined);
  const model = ofPlace(places?.own) ?? ofPlace(places?.directory) ?? ofPlace(config);
  return model === undefined ? {} : { small_model: model };
}

/** Providers of the user's own machine: opencode 2 looks for them at their usual ports, whatever the policy of providers says. */
const probedProviders = ['lmstudio', 'ollama', 'vllm'] as const;

/** Nobody is asked on the user's machine who is not wanted. Entries of the user's own come later, and win. */
function withoutProbes(config: OpencodeConfig, providers: readonly string[]): OpencodeConfig {
  const { plugins } = config;
  const off = probedProviders.filter((name) => !providers.includes(name)).map((name) => `-opencode.provider.${name}`);
  return { ...config, plugins: [...off, ...(Array.isArray(plugins) ? (plugins as unknown[]) : [])] };
}

/** Which providers may be used is decided with what the user says of that, and written as a list of our own: the user's would go over it. */
function withoutPolicies(given: OpencodeConfig): OpencodeConfig {
  const config = without(given, 'disabled_providers');
  const { policies = [], ...experimental } = mapOf(config['experimental']);
  if (!Array.isArray(policies) || policies.length === 0) return config;
  const others = policies.filter((policy: unknown) => mapOf(policy)['action'] !== 'provider.use');
  return { ...config, experimental: { ...experimental, ...(others.length > 0 && { policies: others }) } };
}

function without(config: OpencodeConfig, name: string): OpencodeConfig {
  return Object.fromEntries(Object.entries(config).filter(([key]) => key !== name));
}

function withoutDenied(providers: readonly string[], config: OpencodeConfig): string[] {
  const last = new Map(policiesOf(config).map(({ resource, effect }) => [resource, effect]));
  const { disabled_providers: disabled } = config;
  return providers.filter((name) => last.get(name) !== 'deny' && !(Array.isArray(disabled) && disabled.includes(name)));
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
