import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OpencodeManagerError } from '../../errors/index.ts';
import { userHome } from '../../process/user.ts';
import { parseJsonc, type OpencodeConfig } from '../jsonc.ts';
import { resolveConfig, type ResolvedConfig } from '../resolve.ts';
import type { ServerConfig } from '../schema.ts';
import { isMap, mergeDeep, mergePlaces } from './merge.ts';
import { withOwnPlaces, type Position } from './places.ts';
import { readText } from './read-text.ts';
import { substitute, unsetMark, type Substitution } from './substitute.ts';

/** What a user handed over, in the meaning that it has where it stands: no encoding, variable or path is left to be resolved. */
export interface GivenConfig {
  readonly config: OpencodeConfig;
  readonly substitutions: readonly Substitution[];
  /** Variables that the configuration names and that are not set: they count as empty texts, as in opencode. */
  readonly unset: readonly UnsetVariable[];
  /** The two parts that `config` was joined from; absent where there is one alone. */
  readonly places?: { readonly directory: OpencodeConfig; readonly own: OpencodeConfig };
}

interface UnsetVariable {
  readonly name: string;
  /** Keys that lead to the text in which it stands. */
  readonly path: readonly string[];
}

/** What of a server's options says which configuration it gets. */
export type GivenOptions = Pick<ResolvedConfig, 'directory' | 'opencodeConfig' | 'opencodeConfigDir' | 'env'>;

/** Files of a configuration directory that hold configuration itself; later ones win. */
export const configFileNames = ['config.json', 'opencode.json', 'opencode.jsonc'] as const;

/**
 * Reads a user's opencode configuration as opencode would: the files of the directory, and over them the file or object.
 * @param copiedTo where the server finds the directory's content
 * @throws `OPENCODE_CONFIG_INVALID`, `DIRECTORY_MISSING`
 */
export async function readGivenConfig(options: GivenOptions, copiedTo = options.opencodeConfigDir): Promise<GivenConfig> {
  const terms = { home: userHome(), variables: { ...process.env, ...options.env } };
  const directory = await readConfigDirectory(options.opencodeConfigDir, copiedTo, terms);
  const own = await readOwn(options, terms);
  return {
    config: mergePlaces(directory.config, own.config),
    substitutions: [...directory.substitutions, ...own.substitutions],
    unset: [...directory.unset, ...own.unset],
    places: { directory: directory.config, own: own.config },
  };
}

/**
 * What a server would get as opencode's configuration, before isolation adds to it: files are read, variables, paths and encodings resolved.
 * Secrets are in it. @throws `OPENCODE_CONFIG_INVALID`, `DIRECTORY_MISSING`
 * @example
 * const { model } = await readOpencodeConfig({ opencodeConfig: './opencode.jsonc' })
 * @public
 */
export async function readOpencodeConfig(config: ServerConfig): Promise<OpencodeConfig> {
  return (await readGivenConfig(await resolveConfig(config))).config;
}

interface Terms {
  readonly home: string | undefined;
  readonly variables: NodeJS.ProcessEnv;
}

const nothing: GivenConfig = { config: {}, substitutions: [], unset: [] };

async function readConfigDirectory(source: string | undefined, copiedTo: string | undefined, terms: Terms): Promise<GivenConfig> {
  if (source === undefined) return nothing;
  const present = new Set(await namesIn(source));
  let all = nothing;
  for (const name of configFileNames.filter((one) => present.has(one))) {
    const path = join(source, name);
    const text = await readText(path, 'opencodeConfigDir');
    const position = { base: source, home: terms.home, ...(copiedTo !== undefined && { copied: { from: source, to: copiedTo } }) };
    const one = await resolveText(text, { ...terms, label: `opencodeConfigDir: ${path}` }, position);
    all = {
      config: mergeDeep(all.config, one.config),
      substitutions: [...all.substitutions, ...one.substitutions],
      unset: [...all.unset, ...one.unset],
    };
  }
  return all;
}

async function namesIn(source: string): Promise<string[]> {
  return readdir(source).catch((error: unknown) => {
    throw new OpencodeManagerError(
      'DIRECTORY_MISSING',
      `opencodeConfigDir: ${source} does not exist or cannot be read. Create it, or name another.`,
      { details: { option: 'opencodeConfigDir', path: source }, cause: error },
    );
  });
}

/** Paths of an object count from the workspace, as in opencode's `OPENCODE_CONFIG_CONTENT`. */
async function readOwn({ opencodeConfig, directory }: GivenOptions, terms: Terms): Promise<GivenConfig> {
  if (opencodeConfig === undefined) return nothing;
  if (typeof opencodeConfig !== 'string')
    return resolveText(JSON.stringify(opencodeConfig), { ...terms, label: 'opencodeConfig' }, { base: directory, home: terms.home });
  const text = await readText(opencodeConfig, 'opencodeConfig');
  const position = { base: dirname(opencodeConfig), home: terms.home };
  return resolveText(text, { ...terms, label: `opencodeConfig: ${opencodeConfig}` }, position);
}

async function resolveText(text: string, terms: Terms & { readonly label: string }, position: Position): Promise<GivenConfig> {
  // opencode takes an empty file for no configuration.
  if (text === '') return nothing;
  const { text: resolved, substitutions } = await substitute(text, { ...terms, base: position.base });
  const unset: UnsetVariable[] = [];
  const config = withoutMarks(parseJsonc(resolved, terms.label), [], unset) as OpencodeConfig;
  return { config: withOwnPlaces(config, position), substitutions, unset };
}

/** Variables that are not set become empty texts; where they stood is told. */
function withoutMarks(value: unknown, path: readonly string[], unset: UnsetVariable[]): unknown {
  if (typeof value === 'string') {
    return value.replaceAll(unsetMark, (_, name: string) => {
      unset.push({ name, path });
      return '';
    });
  }
  if (Array.isArray(value)) return value.map((item) => withoutMarks(item, path, unset));
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const name = withoutMarks(key, path, unset) as string;
      return [name, withoutMarks(item, [...path, name], unset)];
    }),
  );
}
