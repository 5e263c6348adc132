import type { OpencodeConfig } from '../jsonc.ts';

/** Joins two configurations at every depth, as opencode does; of lists and other values the later one stays. */
export function mergeDeep(under: OpencodeConfig, over: OpencodeConfig): OpencodeConfig {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const before = result[key];
    result[key] = isMap(before) && isMap(value) ? mergeDeep(before, value) : value;
  }
  return result;
}

/** The same for two places of configuration: their instructions, plugins and rules (those of opencode 2) add up. */
export function mergePlaces(under: OpencodeConfig, over: OpencodeConfig): OpencodeConfig {
  const instructions = bothLists(under['instructions'], over['instructions']);
  const plugin = bothLists(under['plugin'], over['plugin']);
  const plugins = bothLists(under['plugins'], over['plugins']);
  const permissions = bothLists(under['permissions'], over['permissions']);
  return {
    ...mergeDeep(under, over),
    ...(instructions && { instructions: [...new Set(instructions)] }),
    ...(plugin && { plugin: withoutEarlier(plugin) }),
    ...(plugins && { plugins }),
    ...(permissions && { permissions }),
  };
}

function bothLists(under: unknown, over: unknown): unknown[] | undefined {
  return Array.isArray(under) && Array.isArray(over) ? [...(under as unknown[]), ...(over as unknown[])] : undefined;
}

/** Of two entries for one package the later counts. */
function withoutEarlier(plugins: readonly unknown[]): unknown[] {
  const names = plugins.map(pluginName);
  return plugins.filter((_, index) => names.lastIndexOf(names[index]!) === index);
}

function pluginName(entry: unknown): string {
  const spec = String(Array.isArray(entry) ? entry[0] : entry);
  return spec.startsWith('file://') ? spec : spec.replace(/(?!^)@[^/]*$/, '');
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
