import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpencodeConfig } from '../../config/index.ts';
import { carriedPackages, cataloguedPackages } from './carried.ts';
import { fetchedBy } from './fetching-commands.ts';
import { isPackage } from './package-name.ts';

/** Something of the configuration that has to be installed before it works. */
export interface NeededPackage {
  /** Who installs it: opencode itself (`plugin`, `provider`, `config_directory`), or the command of an MCP server (`mcp`). */
  readonly kind: 'plugin' | 'provider' | 'config_directory' | 'mcp';
  /** As it is configured: `name`, `name@version`; for an MCP server what its command runs. */
  readonly package: string;
  /** The provider or the MCP server that needs it. */
  readonly name?: string;
}

/** What has to be fetched for a configuration. What the workspace's own directories ask for is not among it. */
export async function neededPackages(
  config: OpencodeConfig,
  providers: readonly string[],
  configDirectory: string,
): Promise<NeededPackage[]> {
  return [
    ...pluginsOf(config),
    ...providers.flatMap((provider) => packagesOfProvider(config, provider)),
    ...(await missingDependencies(configDirectory)),
    ...serversOf(config),
  ];
}

function pluginsOf(config: OpencodeConfig): NeededPackage[] {
  const entries: unknown[] = Array.isArray(config['plugin']) ? config['plugin'] : [];
  return entries
    .map((entry) => (Array.isArray(entry) ? (entry[0] as unknown) : entry))
    .filter((spec): spec is string => typeof spec === 'string' && isPackage(spec))
    .map((spec) => ({ kind: 'plugin', package: spec }));
}

function packagesOfProvider(config: OpencodeConfig, provider: string): NeededPackage[] {
  const entry = mapOf(mapOf(config['provider'])[provider]);
  const models = Object.values(mapOf(entry['models'])).map((model) => mapOf(mapOf(model)['provider'])['npm']);
  const named = [entry['npm'] ?? cataloguedPackages[provider], ...models];
  const names = named.filter((name): name is string => typeof name === 'string' && isPackage(name) && !carriedPackages.has(name));
  return [...new Set(names)].map((name) => ({ kind: 'provider', package: name, name: provider }));
}

/** Dependencies of the configuration directory's `package.json` that were not handed over with it. */
async function missingDependencies(directory: string): Promise<NeededPackage[]> {
  const manifest = mapOf(parsed(await readFile(join(directory, 'package.json'), 'utf8').catch(() => '')));
  const wanted = Object.entries({ ...mapOf(manifest['dependencies']), ...mapOf(manifest['optionalDependencies']) });
  const present = await Promise.all(wanted.map(([name]) => isInstalled(directory, name)));
  return wanted
    .filter(([name], index) => name !== '@opencode-ai/plugin' && !present[index])
    .map(([name, range]) => ({ kind: 'config_directory', package: `${name}@${String(range)}` }));
}

export async function isInstalled(directory: string, name: string): Promise<boolean> {
  return (await readdir(join(directory, 'node_modules', name)).catch(() => [])).length > 0;
}

function serversOf(config: OpencodeConfig): NeededPackage[] {
  return Object.entries(mapOf(config['mcp'])).flatMap(([name, value]) => {
    const { command, enabled } = mapOf(value);
    if (!Array.isArray(command) || enabled === false) return [];
    const fetched = fetchedBy(command.map(String));
    return fetched === undefined ? [] : [{ kind: 'mcp', package: fetched, name }];
  });
}

function mapOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
