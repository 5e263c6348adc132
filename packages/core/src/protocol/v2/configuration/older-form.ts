import type { OpencodeConfig } from '../../../config/jsonc.ts';
import { enabledBy, modelText, policiesOf } from './loaded.ts';

/**
 * What a configuration says, under the names of opencode 1, by which others look things up in it: which providers, agents, plugins and servers there are, what has
 * to be installed. It may be of the form of opencode 1 or 2, or have keys of both. The server gets it as it is.
 */
export function inOlderForm(config: OpencodeConfig): OpencodeConfig {
  const { model, provider, providers, plugin, plugins, mcp, agent, agents, command, commands, snapshot, snapshots } = config;
  return {
    ...config,
    ...present('model', modelText(model)),
    ...present('small_model', titleModel(agents) ?? titleModel(agent) ?? config['small_model']),
    ...present('provider', merged(provider, eachMap(providers, olderProvider))),
    ...present('plugin', joined(plugin, plugins)),
    ...present(
      'mcp',
      isMap(mcp) && isMap(mcp['servers']) && !('type' in mcp['servers'])
        ? eachMap(mcp['servers'], olderSwitch('disabled', 'enabled'))
        : mcp,
    ),
    ...present('agent', merged(agent, eachMap(agents, olderAgent))),
    ...present('command', merged(command, eachMap(commands, withModelText))),
    ...present('snapshot', snapshots ?? snapshot),
    ...present('enabled_providers', config['enabled_providers'] ?? enabledBy(policiesOf(config))),
  };
}

function present(name: string, value: unknown): OpencodeConfig {
  return value === undefined ? {} : { [name]: value };
}

function merged(older: unknown, newer: unknown): unknown {
  return isMap(older) && isMap(newer) ? { ...older, ...newer } : (newer ?? older);
}

/** opencode 2 has the small model of opencode 1 as that of the agent that makes titles. */
function titleModel(agents: unknown): string | undefined {
  const title = isMap(agents) ? agents['title'] : undefined;
  return isMap(title) ? modelText(title['model']) : undefined;
}

/** A package of opencode 2 may say how it is used, before its name. */
function olderProvider({ package: used, settings, ...rest }: OpencodeConfig): OpencodeConfig {
  const npm = typeof used === 'string' ? used.replace(/^aisdk:/, '') : undefined;
  return { ...rest, ...present('npm', npm), ...present('options', settings) };
}

function olderAgent(agent: OpencodeConfig): OpencodeConfig {
  return withModelText({ ...agent, ...present('disable', agent['disabled']) });
}

function withModelText(entry: OpencodeConfig): OpencodeConfig {
  return { ...entry, ...present('model', modelText(entry['model'])) };
}

const olderSwitch =
  (off: string, on: string) =>
  (entry: OpencodeConfig): OpencodeConfig =>
    entry[off] === true ? { ...entry, [on]: false } : entry;

/** Entries that turn plugins of opencode's own on or off name none that could fail. */
const ownPlugins = /^(?:-|\*$|opencode\.)/;

function joined(plugin: unknown, plugins: unknown): unknown {
  if (!Array.isArray(plugins)) return plugin;
  const newer = plugins.map((entry: unknown) => (isMap(entry) ? [entry['package'], entry['options']] : entry));
  const named = newer.filter((entry) => !ownPlugins.test(String(Array.isArray(entry) ? entry[0] : entry)));
  return [...(Array.isArray(plugin) ? (plugin as unknown[]) : []), ...named];
}

function eachMap(map: unknown, change: (entry: OpencodeConfig) => OpencodeConfig): OpencodeConfig | undefined {
  if (!isMap(map)) return undefined;
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, isMap(value) ? change(value) : value]));
}

function isMap(value: unknown): value is OpencodeConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
