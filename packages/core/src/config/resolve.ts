import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import type * as z from 'zod';
import { currentDirectoryGone, didYouMean, OpencodeManagerError } from '../errors/index.ts';
import { Redactor } from '../secrets/index.ts';
import { serverConfigSchema, type ServerConfig } from './schema.ts';

/** A {@link ServerConfig} that was validated, with its defaults in place and its paths absolute. */
export interface ResolvedConfig extends Omit<
  ServerConfig,
  'directory' | 'profile' | 'projectConfig' | 'toolHome' | 'git' | 'hostname' | 'port' | 'redactor'
> {
  /** Real path. */
  readonly directory: string;
  readonly hostname: string;
  readonly port: number;
  readonly profile: 'batch' | 'interactive';
  readonly projectConfig: 'instructions' | 'all' | 'none';
  readonly toolHome: 'private' | 'user';
  readonly git: 'user' | 'private';
  readonly redactor: Redactor;
}

/** @throws OpencodeManagerError `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN`, `DIRECTORY_MISSING` */
export async function resolveConfig(config: ServerConfig): Promise<ResolvedConfig> {
  const { signal, redactor = new Redactor(), ...fields } = config;
  const parsed = parseServerConfig(fields);
  refuseUnsetVariables(parsed);
  return {
    ...parsed,
    ...(signal && { signal }),
    redactor,
    directory: await realDirectory(parsed.directory ?? currentDirectory('directory'), 'directory'),
    hostname: parsed.hostname ?? '127.0.0.1',
    port: parsed.port ?? 0,
    profile: parsed.profile ?? 'batch',
    projectConfig: parsed.projectConfig ?? 'instructions',
    toolHome: parsed.toolHome ?? 'private',
    git: parsed.git ?? 'user',
    ...absolutePaths(parsed),
  };
}

/** Validates plain options, for example those of a file. @throws `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN` */
export function parseServerConfig(value: unknown): z.output<typeof serverConfigSchema> {
  const result = serverConfigSchema.safeParse(value);
  if (result.success) return result.data;
  const unknown = result.error.issues.find((issue) => issue.code === 'unrecognized_keys');
  if (unknown?.code === 'unrecognized_keys') throw unknownKey(unknown.keys[0] ?? '');
  const issue = result.error.issues[0];
  const path = issue?.path ?? [];
  const option = path.join('.') || 'the options';
  throw new OpencodeManagerError(
    'CONFIG_INVALID',
    `Option ${option}: ${issue?.message ?? 'invalid'}; received ${describeValue(valueAt(value, path), path[0])}.`,
    {
      details: { option },
    },
  );
}

function unknownKey(key: string): OpencodeManagerError {
  const nearest = closest(key, Object.keys(serverConfigSchema.shape));
  return new OpencodeManagerError('CONFIG_KEY_UNKNOWN', `Option ${key} does not exist. Did you mean ${nearest}?`, {
    details: { option: key, nearest },
  });
}

/** A name that passes nothing is a mistake, of which a provider without its key would tell much later. */
function refuseUnsetVariables({ passEnv = [], env = {} }: z.output<typeof serverConfigSchema>): void {
  const unset = passEnv.find((name) => process.env[name] === undefined && env[name] === undefined);
  if (unset === undefined) return;
  const hint = didYouMean(unset, Object.keys(process.env));
  throw new OpencodeManagerError(
    'CONFIG_INVALID',
    `Option passEnv (--pass-env): ${unset} is not set in the environment of this process. ${hint}Set and export it, or leave the name out. Nothing was started.`,
    { details: { option: 'passEnv', variable: unset } },
  );
}

function absolutePaths(parsed: z.output<typeof serverConfigSchema>): Partial<ResolvedConfig> {
  return {
    ...(parsed.stateDir !== undefined && { stateDir: absolute(parsed.stateDir, 'stateDir') }),
    ...(parsed.binary !== undefined && { binary: absolute(parsed.binary, 'binary') }),
    ...(parsed.authFile !== undefined && { authFile: absolute(parsed.authFile, 'authFile') }),
    ...(parsed.opencodeConfigDir !== undefined && { opencodeConfigDir: absolute(parsed.opencodeConfigDir, 'opencodeConfigDir') }),
    ...(typeof parsed.opencodeConfig === 'string' && { opencodeConfig: absolute(parsed.opencodeConfig, 'opencodeConfig') }),
  };
}

/** An absolute path; a relative one counts from the current directory. @throws `DIRECTORY_MISSING` when that one was removed */
export function absolute(path: string, option: string): string {
  return isAbsolute(path) ? resolve(path) : resolve(currentDirectory(option), path);
}

/** @throws `DIRECTORY_MISSING` when somebody has removed the current directory under this process */
function currentDirectory(option: string): string {
  try {
    return process.cwd();
  } catch (error) {
    throw currentDirectoryGone(error, option) ?? error;
  }
}

/** The real path of an existing directory. @throws `DIRECTORY_MISSING` naming the option */
export async function realDirectory(path: string, option: string): Promise<string> {
  try {
    const real = await realpath(absolute(path, option));
    if ((await stat(real)).isDirectory()) return real;
    throw new OpencodeManagerError('DIRECTORY_MISSING', `${option}: ${path} is not a directory.`, { details: { option, path } });
  } catch (error) {
    if (error instanceof OpencodeManagerError) throw error;
    throw new OpencodeManagerError(
      'DIRECTORY_MISSING',
      `${option}: ${path} does not exist or cannot be read. Create it, or name another.`,
      {
        details: { option, path },
        cause: error,
      },
    );
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

/** Options whose values may be secrets: an error says what kind of value was received, and repeats none. */
const secretOptions: ReadonlySet<unknown> = new Set(['env', 'passEnv', 'opencodeConfig', undefined]);

function describeValue(value: unknown, option: PropertyKey | undefined): string {
  if (value === undefined) return 'nothing';
  if (secretOptions.has(option)) return kindOf(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'string') return `a text of ${value.length} characters`;
  return value === null ? 'null' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
