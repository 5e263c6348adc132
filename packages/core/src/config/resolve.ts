import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { closest } from 'fastest-levenshtein';
import type * as z from 'zod';
import { OpencodeManagerError } from '../errors/index.ts';
import { serverConfigSchema, type ServerConfig } from './schema.ts';

/** A {@link ServerConfig} that was validated, with its defaults in place and its paths absolute. */
export interface ResolvedConfig extends Omit<
  ServerConfig,
  'directory' | 'profile' | 'projectConfig' | 'startupTimeoutMs' | 'hostname' | 'port'
> {
  /** Real path. */
  readonly directory: string;
  readonly hostname: string;
  readonly port: number;
  readonly profile: 'batch' | 'interactive';
  readonly projectConfig: 'instructions' | 'all' | 'none';
  readonly startupTimeoutMs: number;
}

/** @throws OpencodeManagerError `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN`, `DIRECTORY_MISSING` */
export async function resolveConfig(config: ServerConfig): Promise<ResolvedConfig> {
  const { signal, ...fields } = config;
  const parsed = parseServerConfig(fields);
  return {
    ...parsed,
    ...(signal && { signal }),
    directory: await realDirectory(parsed.directory ?? process.cwd(), 'directory'),
    hostname: parsed.hostname ?? '127.0.0.1',
    port: parsed.port ?? 0,
    profile: parsed.profile ?? 'batch',
    projectConfig: parsed.projectConfig ?? 'instructions',
    startupTimeoutMs: parsed.startupTimeoutMs ?? 30_000,
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
  const option = issue?.path.join('.') || 'the options';
  throw new OpencodeManagerError(
    'CONFIG_INVALID',
    `Option ${option}: ${issue?.message ?? 'invalid'}; received ${describeValue(valueAt(value, issue?.path ?? []))}.`,
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

function absolutePaths(parsed: z.output<typeof serverConfigSchema>): Partial<ResolvedConfig> {
  return {
    ...(parsed.stateDir !== undefined && { stateDir: resolve(parsed.stateDir) }),
    ...(parsed.binary !== undefined && { binary: resolve(parsed.binary) }),
    ...(parsed.authFile !== undefined && { authFile: resolve(parsed.authFile) }),
    ...(parsed.opencodeConfigDir !== undefined && { opencodeConfigDir: resolve(parsed.opencodeConfigDir) }),
    ...(typeof parsed.opencodeConfig === 'string' && { opencodeConfig: resolve(parsed.opencodeConfig) }),
  };
}

/** The real path of an existing directory. @throws `DIRECTORY_MISSING` naming the option */
export async function realDirectory(path: string, option: string): Promise<string> {
  try {
    const real = await realpath(path);
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

function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
