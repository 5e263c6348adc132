import type { Answers, Json, Reading } from './reading.ts';

/** A pair of readings of one row. */
export interface Pair {
  readonly plain: Reading;
  readonly ours: Reading;
}

/** Every field in which two readings differ, as `path: plain, ours`. Refusals are equal whatever they say. */
export function differences({ plain, ours }: Pair): string[] {
  if ('refused' in plain && 'refused' in ours) return [];
  if ('refused' in plain) return [`plain refuses: ${plain.refused}`];
  if ('refused' in ours) return [`ours refuses: ${ours.refused}`];
  return [...differing('', inParts(plain), inParts(ours))];
}

/**
 * Turns by their number. In which order a prompt has its instructions is no matter: each has its heading. opencode finds skills in an order
 * of chance, and allows their directories in that; files that a command names it reads at once, and puts them into the prompt as they come;
 * plugins of its two directories it finds in an order of chance too.
 */
function inParts({ turns, agents, config, ...routes }: Answers): Json {
  const sorted = (list: unknown) => (Array.isArray(list) ? (list as string[]).toSorted() : list);
  const parts = turns.map((turn) => ({
    ...turn,
    lists: sorted(turn['lists']),
    instructions: sorted(turn['instructions']),
    users: Array.isArray(turn['users']) ? (turn['users'] as unknown[]).map(withSortedFiles) : turn['users'],
  }));
  const ordered = Object.entries(agents).map(([name, agent]) => [name, withSortedGrants(agent)]);
  return {
    ...routes,
    config: withSortedPlugins(config),
    agents: Object.fromEntries(ordered) as Json,
    turns: Object.fromEntries(parts.entries()),
  };
}

/** Plugins that follow each other and stand in a directory for plugins. */
function withSortedPlugins(config: Json): Json {
  const plugins = config['plugin'];
  if (!Array.isArray(plugins)) return config;
  const isFound = (plugin: unknown) => typeof plugin === 'string' && /^file:\/\/<\w+>\/plugins?\//.test(plugin);
  const found = (plugins as string[]).filter(isFound).toSorted();
  return { ...config, plugin: plugins.map((plugin: unknown) => (isFound(plugin) ? found.shift() : plugin)) };
}

/** Of a message in parts: each file is two of them, the call that reads it and what stands in it. */
function withSortedFiles(message: unknown): unknown {
  if (!Array.isArray(message)) return message;
  const parts = message as readonly Json[];
  const isCall = (part: Json | undefined) => String(part?.['text']).startsWith('Called the Read tool ');
  const files = parts.flatMap((part, at) => (isCall(part) ? [[part, parts[at + 1]]] : []));
  const inOrder = files.toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
  return parts.flatMap((part, at) => {
    if (isCall(parts[at - 1])) return [];
    return isCall(part) ? inOrder.shift()! : [part];
  });
}

/** Neighbouring grants of directories, by their pattern: among them none overrules another. */
function withSortedGrants(agent: unknown): unknown {
  const rules = isMap(agent) ? agent['permission'] : undefined;
  if (!Array.isArray(rules)) return agent;
  const isGrant = (rule: unknown) => isMap(rule) && rule['permission'] === 'external_directory' && rule['action'] === 'allow';
  const sorted: unknown[] = [];
  for (const rule of rules as unknown[]) {
    let at = sorted.length;
    while (isGrant(rule) && at > 0 && isGrant(sorted[at - 1]) && JSON.stringify(sorted[at - 1]) > JSON.stringify(rule)) at -= 1;
    sorted.splice(at, 0, rule);
  }
  return { ...(agent as Json), permission: sorted };
}

function* differing(path: string, plain: unknown, ours: unknown): Generator<string> {
  if (isMap(plain) && isMap(ours)) {
    for (const key of new Set([...Object.keys(plain), ...Object.keys(ours)])) yield* differing(`${path}/${key}`, plain[key], ours[key]);
  } else if (JSON.stringify(plain) !== JSON.stringify(ours)) {
    yield `${path}: plain ${shown(plain, ours)}, ours ${shown(ours, plain)}`;
  }
}

/** A value from shortly before the place where it differs from the other. */
function shown(value: unknown, other: unknown): string {
  const [text, against] = [value, other].map((one) => JSON.stringify(one) ?? 'absent') as [string, string];
  let at = 0;
  while (at < text.length && text[at] === against[at]) at += 1;
  const from = Math.max(0, at - 60);
  return `${from > 0 ? '...' : ''}${text.slice(from, from + 300)}${text.length > from + 300 ? '...' : ''}`;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
