import { basename, delimiter, dirname, isAbsolute } from 'node:path';
import type { ResolvedConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import { findOnPath, findShell, isExecutableFile } from '../process/find-on-path.ts';
import { runMarkerVariable, serverMarkerVariable } from '../process/table.ts';
import { userHome } from '../process/user.ts';
import type { Protocol } from '../protocol/index.ts';
import { engineAllocator } from './engine-allocator.ts';
import { networkVariables } from './network-variables.ts';
import { userPlaces } from './tools/index.ts';
import type { StateLayout } from './state-directory.ts';

/** Variables of this process that the server gets without being asked for: tools must be found, times be right. */
const alwaysPassed = ['PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ'] as const;

/** Variables that are well known as providers' API keys; passed with `passProviderKeys`. */
const providerKeyVariables: readonly string[] = [
  'ANTHROPIC_API_KEY',
  'OPENAI_API_KEY',
  'OPENROUTER_API_KEY',
  'GEMINI_API_KEY',
  'GOOGLE_API_KEY',
  'GOOGLE_GENERATIVE_AI_API_KEY',
  'GROQ_API_KEY',
  'MISTRAL_API_KEY',
  'DEEPSEEK_API_KEY',
  'XAI_API_KEY',
  'TOGETHER_API_KEY',
  'FIREWORKS_API_KEY',
  'CEREBRAS_API_KEY',
  'COHERE_API_KEY',
  'PERPLEXITY_API_KEY',
  'MOONSHOT_API_KEY',
  'ZHIPU_API_KEY',
  'DEEPINFRA_API_KEY',
  'VENICE_API_KEY',
  'OPENCODE_API_KEY',
  'AZURE_API_KEY',
];

/** Names that a user cannot set: isolation rests on them, or they would undo it. */
const reserved =
  /^(HOME|TMPDIR|XDG_\w+|OPENCODE_(?!API_KEY$)\w+|GIT_CONFIG_\w+|GIT_ATTR_NOSYSTEM|OTEL_\w+|npm_config_offline|BASH_ENV|ENV)$/;

export interface EnvironmentInput {
  readonly protocol: Pick<Protocol, 'process'>;
  readonly config: ResolvedConfig;
  readonly layout: StateLayout;
  readonly runId: string;
  readonly serverId: string;
  readonly username: string;
  readonly password: string;
  /** Names that the opencode configuration refers to as `{env:NAME}`. */
  readonly referencedVariables: readonly string[];
  /** False when nothing of opencode's own catalogue of models can be used. */
  readonly modelCatalogue: boolean;
  readonly source?: NodeJS.ProcessEnv;
}

/**
 * The whole environment of the server, built from nothing by an allow-list. The list is the one that was traced in one
 * run with no write and no connection outside (docs/isolation.md).
 * @throws `CONFIG_INVALID` when `env` or `passEnv` names a variable that isolation rests on
 */
export async function serverEnvironment(input: EnvironmentInput): Promise<Record<string, string>> {
  const { config, layout, source = process.env } = input;
  refuseReserved(Object.keys(config.env ?? {}), 'env');
  refuseReserved(config.passEnv ?? [], 'passEnv');
  const passed = [...alwaysPassed, ...handedOver(input)];
  const path = toolPath(config, source);
  const home = source['HOME'] || userHome();
  return {
    LANG: 'C.UTF-8',
    SHELL: await shellOf(source, path),
    ...networkVariables(source, handedOver(input)).variables,
    ...(await userPlaces(source, home, config.toolHome)),
    ...pick(
      source,
      passed.filter((name) => !reserved.test(name)),
    ),
    ...config.env,
    HOME: layout.home,
    XDG_CONFIG_HOME: layout.config,
    XDG_DATA_HOME: layout.data,
    XDG_CACHE_HOME: layout.cache,
    XDG_STATE_HOME: layout.state,
    XDG_RUNTIME_DIR: layout.run,
    TMPDIR: layout.tmp,
    ...(await protocolVariables(input, path)),
    ...(await engineAllocator()),
    BASH_ENV: layout.templateShellFile,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: layout.gitConfigFile,
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    [runMarkerVariable]: input.runId,
    [serverMarkerVariable]: input.serverId,
  };
}

/** PATH as the user has it. */
export function toolPath(config: Pick<ResolvedConfig, 'env'>, source: NodeJS.ProcessEnv = process.env): string {
  return config.env?.['PATH'] ?? source['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
}

/** Shells that opencode runs lines with; a service's user may have something else (`nologin`). */
const usableShell = /^(bash|zsh|ksh|dash|sh|fish|nu)$/;

/** The user's shell: opencode runs its tools' lines with it. */
async function shellOf(source: NodeJS.ProcessEnv, path: string): Promise<string> {
  const own = source['SHELL'];
  if (own !== undefined && isAbsolute(own) && usableShell.test(basename(own)) && (await isExecutableFile(own))) return own;
  return (await findShell(['bash', 'sh'], path)) ?? '/bin/sh';
}

/** Names of the variables that the server gets because somebody wished it; their values may be secrets. */
export function handedOver({ config, referencedVariables }: Pick<EnvironmentInput, 'config' | 'referencedVariables'>): string[] {
  return [
    ...Object.keys(config.env ?? {}),
    ...(config.passEnv ?? []),
    ...referencedVariables,
    ...(config.passProviderKeys ? providerKeyVariables : []),
  ];
}

/** @throws `CONFIG_INVALID` */
export function refuseReserved(names: readonly string[], option: string): void {
  const refused = names.find((name) => reserved.test(name));
  if (refused === undefined) return;
  throw new OpencodeManagerError(
    'CONFIG_INVALID',
    `Option ${option}: ${refused} cannot be set, because the isolation of the server rests on it. Remove it.`,
    {
      details: { option, variable: refused },
    },
  );
}

function pick(source: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of names) if (source[name] !== undefined) found[name] = source[name];
  return found;
}

/** Without ripgrep on PATH, opencode downloads one from the network for its grep tool. So ours goes to the end of PATH where the user has none. */
async function protocolVariables(
  { config, layout, protocol, username, password, modelCatalogue }: EnvironmentInput,
  path: string,
): Promise<Record<string, string>> {
  const bundled = (await findOnPath('rg', path)) ? '' : await bundledRipgrep();
  const variables = protocol.process.environment({
    configFile: layout.configFile,
    managedDirectory: layout.managed,
    projectConfig: config.projectConfig,
    allowOAuth: config.allowOAuth === true,
    questions: config.profile === 'interactive',
    noModelsFile: modelCatalogue ? undefined : layout.noModelsFile,
    hasRipgrep: bundled !== undefined,
    username,
    password,
  });
  return { ...variables, PATH: bundled ? path + delimiter + bundled : path };
}

/** The directory of the one that we carry; undefined where it has none for this machine. */
async function bundledRipgrep(): Promise<string | undefined> {
  return import('@vscode/ripgrep').then(
    ({ rgPath }) => dirname(rgPath),
    () => undefined,
  );
}
