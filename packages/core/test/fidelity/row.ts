/** What stands at a path before opencode is started: a text, bytes, a link to a path, or a FIFO. */
export type Entry = string | Uint8Array | { readonly link: string } | typeof fifo;

export const fifo = Symbol('FIFO');

/** A turn, for what reaches the model. */
export interface Turn {
  readonly prompt?: string;
  readonly command?: string;
  readonly arguments?: string;
  readonly agent?: string;
}

/**
 * Where the configuration stands, for a user of opencode and for one of ours:
 * `global`: `home/.config/opencode`, and `opencodeConfigDir`;
 * `custom`: the file that `OPENCODE_CONFIG` names, and `opencodeConfig`;
 * `project`: `opencode.json` of the workspace, and `opencodeConfig`;
 * `both`: a directory and a file.
 */
export type Place = 'global' | 'custom' | 'project' | 'both';

/**
 * One configuration. Paths of `files` count from the row's own directory, which holds `home`, `work` (a repository, the session's
 * directory) and `conf`. In texts, `@HOME@`, `@WORK@`, `@CONF@` and `@MODEL@` stand for these places and for the model's URL.
 */
export interface Row {
  readonly name: string;
  readonly place: Place;
  /** The file of a project. Default: `work/opencode.json`. The others have `conf/opencode.json`. */
  readonly config?: string;
  readonly files: Readonly<Record<string, Entry>>;
  /** A name has one value in all rows. */
  readonly env?: Readonly<Record<string, string>>;
  readonly turns?: readonly Turn[];
  /** Its providers are among those that opencode knows. */
  readonly catalogue?: true;
  /** Directory of the session below `work`. */
  readonly session?: string;
}

/** The file that a row names as its configuration; undefined where a directory holds it all. */
export function configFileOf({ place, config }: Row): string | undefined {
  if (place === 'global') return undefined;
  return place === 'project' ? (config ?? 'work/opencode.json') : 'conf/opencode.json';
}

/** A model that answers, as most rows with a turn need it. */
export const scripted = {
  model: 'scripted/model',
  small_model: 'scripted/small',
  provider: {
    scripted: {
      name: 'Scripted model',
      npm: '@ai-sdk/openai-compatible',
      options: { baseURL: '@MODEL@', apiKey: 'scripted' },
      models: { model: { name: 'Model' }, small: { name: 'Small' }, other: { name: 'Other' } },
    },
  },
} as const;

export function json(config: object): string {
  return JSON.stringify(config, null, 2);
}

/** A configuration of the global directory. */
export function global(name: string, config: object | string | Uint8Array, more: Omit<Partial<Row>, 'name'> = {}): Row {
  return placed('global', 'home/.config/opencode/opencode.json', name, config, more);
}

/** A configuration that `OPENCODE_CONFIG` names. */
export function custom(name: string, config: object | string | Uint8Array, more: Omit<Partial<Row>, 'name'> = {}): Row {
  return placed('custom', 'conf/opencode.json', name, config, more);
}

/** The configuration of a project that is handed over by name. */
export function project(name: string, config: object | string | Uint8Array, more: Omit<Partial<Row>, 'name'> = {}): Row {
  return placed('project', more.config ?? 'work/opencode.json', name, config, more);
}

function placed(place: Place, path: string, name: string, config: object | string | Uint8Array, more: Omit<Partial<Row>, 'name'>): Row {
  const content = typeof config === 'string' || config instanceof Uint8Array ? config : json(config);
  return { place, ...more, name, files: { [path]: content, ...more.files } };
}
