import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import { OpencodeManagerError } from '../errors/index.ts';
import { withGuardedEdits } from './guarded-edits.ts';
import type { ResolvedConfig } from './resolve.ts';

/** opencode's own configuration, as far as this project looks into it. */
export type OpencodeConfig = Readonly<Record<string, unknown>>;

/** What the server is started with, and what is compared with the running server afterwards. */
export interface EffectiveConfig {
  readonly config: OpencodeConfig;
  readonly providers: readonly string[];
  readonly model: string | undefined;
  readonly snapshots: boolean;
  /** Variables that the configuration refers to as `{env:NAME}`: naming them there passes them on. */
  readonly referencedVariables: readonly string[];
}

/** What a headless run pays for and does not use; the user's own settings win over these. */
const profileDefaults: Readonly<Record<ResolvedConfig['profile'], OpencodeConfig>> = {
  batch: { snapshot: false, lsp: false, formatter: false },
  interactive: { snapshot: true },
};

/** Reads JSON or JSONC. @throws `OPENCODE_CONFIG_INVALID` with the line and column */
export async function readJsonc(path: string, option: string): Promise<OpencodeConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new OpencodeManagerError(
      'OPENCODE_CONFIG_INVALID',
      `${option}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code}). Name an existing file.`,
      {
        details: { option, path },
        cause: error,
      },
    );
  });
  return parseJsonc(text, `${option}: ${path}`);
}

/** @throws `OPENCODE_CONFIG_INVALID` with the line and column */
export function parseJsonc(text: string, label: string): OpencodeConfig {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const first = errors[0];
  if (first) {
    const before = text.slice(0, first.offset).split('\n');
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    throw new OpencodeManagerError('OPENCODE_CONFIG_INVALID', `${label} is not JSONC: ${printParseErrorCode(first.error)} at ${place}.`, {
      details: { place },
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new OpencodeManagerError(
      'OPENCODE_CONFIG_INVALID',
      `${label} must hold an object; received ${Array.isArray(value) ? 'an array' : typeof value}.`,
    );
  }
  return value as OpencodeConfig;
}

/**
 * The configuration for one server: the profile's defaults, then what a handed-over config directory and the user's
 * configuration say, then what isolation fixes. `username` is a sentinel: the running server must report it back.
 */
export async function effectiveConfig(
  config: ResolvedConfig,
  runId: string,
  fromConfigDir: OpencodeConfig,
  modelsInFiles: readonly string[],
): Promise<EffectiveConfig> {
  const given = await givenConfig(config);
  const merged: OpencodeConfig = { ...profileDefaults[config.profile], ...mergeShallowMaps(fromConfigDir, given) };
  const model = typeof merged['model'] === 'string' ? merged['model'] : undefined;
  const providers =
    config.enabledProviders ?? listOfStrings(merged['enabled_providers']) ?? providersOf([...modelsOf(merged), ...modelsInFiles]);
  return {
    config: withGuardedEdits({ ...merged, username: runId, autoupdate: false, share: 'disabled', enabled_providers: providers }),
    providers,
    model,
    snapshots: merged['snapshot'] !== false,
    referencedVariables: [...JSON.stringify(merged).matchAll(/\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g)].map((match) => match[1]!),
  };
}

async function givenConfig({ opencodeConfig }: ResolvedConfig): Promise<OpencodeConfig> {
  if (typeof opencodeConfig !== 'string') return opencodeConfig ?? {};
  return withAbsoluteReferences(await readJsonc(opencodeConfig, 'opencodeConfig'), dirname(opencodeConfig));
}

/** `{file:./x}` and relative plugins count from the file that holds them, and that file is not used in place. */
export function withAbsoluteReferences(config: OpencodeConfig, base: string): OpencodeConfig {
  const text = JSON.stringify(config).replaceAll(/\{file:(\.{1,2}\/[^}"\\]+)\}/g, (_, path: string) => `{file:${resolve(base, path)}}`);
  const result = JSON.parse(text) as Record<string, unknown>;
  if (Array.isArray(result['plugin'])) {
    result['plugin'] = result['plugin'].map((entry: unknown) =>
      typeof entry === 'string' && /^\.{1,2}\//.test(entry) ? pathToFileURL(resolve(base, entry)).href : entry,
    );
  }
  return result;
}

/** `over` wins; maps of the first level (providers, agents, commands, mcp) are joined entry by entry. */
function mergeShallowMaps(under: OpencodeConfig, over: OpencodeConfig): OpencodeConfig {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const before = result[key];
    result[key] = isMap(before) && isMap(value) ? { ...before, ...value } : value;
  }
  return result;
}

/** Every `provider/model` that a configuration names: its own, its agents', modes' and commands'. */
function modelsOf(config: OpencodeConfig): string[] {
  const named = [config['model'], config['small_model']];
  for (const section of ['agent', 'mode', 'command']) {
    const entries = config[section];
    if (isMap(entries)) for (const entry of Object.values(entries)) if (isMap(entry)) named.push(entry['model']);
  }
  return named.filter((model): model is string => typeof model === 'string');
}

function providersOf(models: readonly string[]): string[] {
  return [...new Set(models.map((model) => model.split('/')[0]!).filter((provider) => provider !== ''))];
}

function listOfStrings(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : undefined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
