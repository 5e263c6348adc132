import type { Pair } from './compare.ts';
import type { Answers, Json } from './reading.ts';
import type { Row } from './row.ts';

/** A difference that is meant: both readings without it, or rows that one of both refuses and the other reads. */
export interface AllowedDifference {
  readonly name: string;
  readonly reason: string;
  readonly without?: (plain: Answers, ours: Answers) => readonly [Answers, Answers];
  readonly refused?: { readonly by: 'plain' | 'ours'; readonly rows: readonly string[] };
}

/** Every difference that is allowed; nothing else is. */
export const allowedDifferences: readonly AllowedDifference[] = [
  {
    name: 'fixed settings',
    reason: 'username is the sentinel by which a server is known; nothing is shared, and nothing updates itself',
    without: both((answers) => ({ ...answers, config: omit(answers.config, ['username', 'share', 'autoupdate', '$schema']) })),
  },
  {
    name: 'pinned providers',
    reason: 'a configuration that is not read must never end at a remote model, so only named providers are enabled',
    without: (plain, ours) => {
      const enabled = new Set(ours.config['enabled_providers'] as string[]);
      const providers = Object.fromEntries(Object.entries(plain.providers).filter(([id]) => enabled.has(id)));
      const config = (answers: Answers) => omit(answers.config, ['enabled_providers']);
      return [
        { ...plain, providers, config: config(plain) },
        { ...ours, config: config(ours) },
      ];
    },
  },
  {
    name: 'batch profile',
    reason: 'a headless run has no snapshots, formatters and language servers unless the configuration asks for them',
    without: (plain, ours) => {
      const unasked = ['snapshot', 'formatter', 'lsp'].filter((name) => plain.config[name] === undefined && ours.config[name] === false);
      return [plain, { ...ours, config: omit(ours.config, unasked) }];
    },
  },
  {
    name: 'guarded edits',
    reason: 'agents may not write code that the next server would load from .opencode',
    without: both(withoutGuard),
  },
  {
    name: 'own plugin',
    reason: 'it takes the password out of what tools inherit',
    without: (plain, ours) => [
      plain,
      {
        ...ours,
        config: {
          ...ours.config,
          plugin: (ours.config['plugin'] as unknown[]).filter((entry) => !String(entry).includes('opencode-manager')),
        },
      },
    ],
  },
  {
    name: 'environment of tools',
    reason: 'what isolates the server must not reach the programs that it starts, so that each has the variables that undo it',
    without: (plain, ours) => [plain, { ...ours, config: withoutToolVariables(ours.config, plain.config) }],
  },
  {
    name: 'question tool',
    reason: 'nobody answers the questions of a batch, so the model is not offered the tool',
    without: both((answers) => ({
      ...answers,
      turns: answers.turns.map((turn) => withoutItem(turn, 'tools', (tool) => tool === 'question')),
    })),
  },
  {
    name: 'relative instructions',
    reason: 'they count from each session, so that each prompt carries their texts; what reaches the model is the same',
    without: (plain, ours) => {
      const written = (answers: Answers) => {
        const list = answers.config['instructions'] as string[] | undefined;
        const absolute = list?.filter((entry) => /^(?:\/|~\/|<|https?:)/.test(entry)) ?? [];
        return { ...answers, config: { ...answers.config, instructions: absolute } };
      };
      return [written(plain), written(ours)];
    },
  },
  {
    name: 'references written out',
    reason: 'the server reads them from another place, so that their paths are absolute; where they lead shows in agents and prompts',
    without: both((answers) => ({ ...answers, config: omit(answers.config, ['references', 'reference']) })),
  },
  {
    name: 'links out of the repository',
    reason: 'git carries links, and one to a file with secrets would send them',
    without: both((answers) => ({ ...answers, turns: answers.turns.map((turn) => withoutItem(turn, 'instructions', isLinkedOut)) })),
  },
  {
    name: 'home directories written out',
    reason: 'the server has a home of its own, so that the paths of the user are absolute',
    without: both(withHomes),
  },
  {
    name: 'variables with quotes and line ends',
    reason: 'opencode puts a variable into the text as it is, and cannot parse what comes of it',
    refused: { by: 'plain', rows: ['env: a value with a quote, a backslash and a newline'] },
  },
  {
    name: 'comments',
    reason: 'opencode reads the files of comments that stand behind a value',
    refused: { by: 'plain', rows: ['file: commented out behind a value'] },
  },
  {
    name: 'missing key',
    reason: 'a turn with an empty key fails at the provider; the start says which variable is missing',
    refused: { by: 'ours', rows: ['env: not set, as the key of the model'] },
  },
];

/** The rows with such a link call it so. */
function isLinkedOut(text: string): boolean {
  return text.startsWith('Instructions from: <WORK>/out.md');
}

function withoutItem(turn: Json, name: string, is: (item: string) => boolean): Json {
  const list = turn[name];
  return Array.isArray(list) ? { ...turn, [name]: (list as string[]).filter((item) => !is(item)) } : turn;
}

function both(change: (answers: Answers) => Answers): NonNullable<AllowedDifference['without']> {
  return (plain, ours) => [change(plain), change(ours)];
}

/** A pair of readings without all that is allowed, and the names of what was. */
export function withoutAllowed(row: Pick<Row, 'name'>, pair: Pair): Pair & { readonly used: readonly string[] } {
  const { plain, ours } = pair;
  if ('refused' in plain || 'refused' in ours) {
    const by = 'refused' in plain ? 'plain' : 'ours';
    const allowed = allowedDifferences.find(({ refused }) => refused?.by === by && refused.rows.includes(row.name));
    return allowed && !('refused' in plain && 'refused' in ours) ? { plain, ours: plain, used: [allowed.name] } : { plain, ours, used: [] };
  }
  return withoutFields(plain, ours);
}

function withoutFields(plain: Answers, ours: Answers): Pair & { readonly used: readonly string[] } {
  const used: string[] = [];
  let pair: readonly [Answers, Answers] = [plain, ours];
  for (const { name, without } of allowedDifferences) {
    if (!without) continue;
    const next = without(...pair);
    if (JSON.stringify(next) !== JSON.stringify(pair)) used.push(name);
    pair = next;
  }
  return { plain: pair[0], ours: pair[1], used };
}

/** `~/x` and `$HOME/x`, at the start of a text or of a key, as the user's home. */
function withHomes(answers: Answers): Answers {
  const expand = (text: string) => text.replace(/^(?:~(?=\/|$)|\$HOME)/, '<HOME>').replaceAll(/(?<![\w`])@~\//g, '@<HOME>/');
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return expand(value);
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [expand(key), walk(item)]));
  };
  return walk(answers) as Answers;
}

/** Variables that were put in beside those of the configuration. */
function withoutToolVariables(ours: Json, plain: Json): Json {
  const sections = { mcp: 'environment', formatter: 'environment', lsp: 'env' } as const;
  const changed = Object.entries(sections).map(([section, field]) => {
    const given = mapOf(plain[section]);
    const entries = Object.entries(mapOf(ours[section])).map(([name, entry]) => {
      const own = mapOf(mapOf(given[name])[field]);
      const rest = Object.entries(mapOf(mapOf(entry)[field])).filter(([key]) => key in own || !toolVariables.has(key));
      if (mapOf(entry)[field] === undefined) return [name, entry];
      return [name, rest.length > 0 ? { ...mapOf(entry), [field]: Object.fromEntries(rest) } : omit(mapOf(entry), [field])];
    });
    return [section, entries.length > 0 ? Object.fromEntries(entries) : ours[section]] as const;
  });
  return { ...ours, ...Object.fromEntries(changed.filter(([section]) => section in ours)) };
}

const toolVariables: ReadonlySet<string> = new Set(
  'HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_STATE_HOME GIT_CONFIG_GLOBAL GIT_ATTR_NOSYSTEM BASH_ENV'.split(' '),
);

function mapOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function omit(map: Json, names: readonly string[]): Json {
  return Object.fromEntries(Object.entries(map).filter(([name]) => !names.includes(name)));
}

function withoutGuard(answers: Answers): Answers {
  const clean = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.filter((rule) => !isGuard(rule)).map(clean);
    if (typeof value !== 'object' || value === null) return value;
    const rest = Object.entries(value).filter(([key, item]) => !isMade(key, item));
    // What a tool is allowed altogether may be a word, or a rule for every pattern.
    if (rest.length === 1 && rest[0]![0] === '*') return rest[0]![1];
    return Object.fromEntries(rest.map(([key, item]) => [key, clean(item)]));
  };
  return clean(answers) as Answers;
}

/** A denial, or a map that holds nothing else. */
function isMade(key: string, item: unknown): boolean {
  if (guarded.has(key)) return item === 'deny';
  if (!['permission', 'edit', 'edit*'].includes(key) || typeof item !== 'object' || item === null || Array.isArray(item)) return false;
  const inner = Object.entries(item);
  return inner.length > 0 && inner.every(([name, value]) => isMade(name, value));
}

const guarded: ReadonlySet<string> = new Set(['.opencode/*', '*/.opencode/*']);

function isGuard(rule: unknown): boolean {
  const { permission, pattern, action } = (rule ?? {}) as Record<string, unknown>;
  return String(permission).startsWith('edit') && guarded.has(String(pattern)) && action === 'deny';
}
