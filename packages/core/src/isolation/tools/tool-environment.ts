import { join } from 'node:path';
import type { ResolvedConfig } from '../../config/index.ts';
import { OpencodeManagerError } from '../../errors/index.ts';
import { userHome } from '../../process/user.ts';
import type { StateLayout } from '../state-directory.ts';

/**
 * What the programs that agents run get in place of what isolates the server. Nothing here is secret: it is written into files of the state.
 */
export interface ToolEnvironment {
  /** Of tools and shell lines, over the server's own environment; null takes a variable away. */
  readonly shell: Readonly<Record<string, string | null>>;
  /** Of MCP servers, formatters and language servers, over the server's own environment, from which nothing can be taken away there. */
  readonly programs: Readonly<Record<string, string>>;
}

/** XDG's variables, with the place that stands for each below a home. */
const xdgPlaces = {
  XDG_CONFIG_HOME: '.config',
  XDG_DATA_HOME: join('.local', 'share'),
  XDG_CACHE_HOME: '.cache',
  XDG_STATE_HOME: join('.local', 'state'),
} as const;

/**
 * @param serverVariables opencode's own settings for the server; an opencode that a tool runs is another one
 * @throws `CONFIG_INVALID` when the user has no home that tools could see
 */
export function toolEnvironment(
  { toolHome, git }: Pick<ResolvedConfig, 'toolHome' | 'git'>,
  layout: StateLayout,
  serverVariables: readonly string[],
  source: NodeJS.ProcessEnv = process.env,
): ToolEnvironment {
  const ofUser = toolHome === 'user';
  const home = ofUser ? homeOfUser(source) : layout.toolHome;
  const given = (name: string) => (ofUser ? source[name] : undefined);
  const xdg = Object.entries(xdgPlaces);
  // In their own home, tools read the user's git configuration as it is.
  const ownGit = ofUser && git === 'user';
  return {
    shell: {
      HOME: home,
      ...Object.fromEntries(xdg.map(([name]) => [name, given(name) ?? null])),
      XDG_RUNTIME_DIR: given('XDG_RUNTIME_DIR') ?? null,
      GIT_CONFIG_GLOBAL: ownGit ? (source['GIT_CONFIG_GLOBAL'] ?? null) : layout.toolGitConfigFile,
      ...(ownGit && { GIT_CONFIG_NOSYSTEM: source['GIT_CONFIG_NOSYSTEM'] ?? null }),
      ...(git === 'user' && { GIT_ATTR_NOSYSTEM: null }),
      ...Object.fromEntries(serverVariables.map((name) => [name, null])),
      BASH_ENV: layout.toolShellFile,
    },
    programs: {
      HOME: home,
      ...Object.fromEntries(xdg.map(([name, place]) => [name, given(name) ?? join(home, place)])),
      ...(given('XDG_RUNTIME_DIR') !== undefined && { XDG_RUNTIME_DIR: given('XDG_RUNTIME_DIR')! }),
      GIT_CONFIG_GLOBAL: ownGit ? (source['GIT_CONFIG_GLOBAL'] ?? layout.includingGitConfigFile) : layout.toolGitConfigFile,
      ...(ownGit && { GIT_CONFIG_NOSYSTEM: source['GIT_CONFIG_NOSYSTEM'] ?? '0' }),
      ...(git === 'user' && { GIT_ATTR_NOSYSTEM: '0' }),
      BASH_ENV: '',
    },
  };
}

/** The user's own global git configuration, in the order in which git reads it. */
export function userGitFiles(source: NodeJS.ProcessEnv = process.env): string[] {
  const home = source['HOME'] || userHome();
  const xdg = source['XDG_CONFIG_HOME'] || (home === undefined ? undefined : join(home, xdgPlaces.XDG_CONFIG_HOME));
  return [...(xdg === undefined ? [] : [join(xdg, 'git', 'config')]), ...(home === undefined ? [] : [join(home, '.gitconfig')])];
}

function homeOfUser(source: NodeJS.ProcessEnv): string {
  const home = source['HOME'] || userHome();
  if (home !== undefined) return home;
  throw new OpencodeManagerError('CONFIG_INVALID', 'Option toolHome: this user has no home directory. Set HOME, or use private.', {
    details: { option: 'toolHome' },
  });
}

/** Sections of opencode's configuration whose entries start programs, with the field that holds their variables. */
const programSections = { mcp: 'environment', formatter: 'environment', lsp: 'env' } as const;

/** Gives what a configuration starts the tools' environment; variables that an entry sets itself win. */
export function withToolEnvironment<Config extends Readonly<Record<string, unknown>>>(
  config: Config,
  { programs }: ToolEnvironment,
): Config {
  const changed: Record<string, unknown> = { ...config };
  for (const [section, field] of Object.entries(programSections)) {
    const entries = changed[section];
    if (!isMap(entries)) continue;
    const { servers } = entries;
    // The form of opencode 2 has its MCP servers one level deeper.
    const isDeeper = section === 'mcp' && isMap(servers) && !('type' in servers);
    changed[section] = isDeeper ? { ...entries, servers: eachProgram(servers, field, programs) } : eachProgram(entries, field, programs);
  }
  return changed as Config;
}

function eachProgram(entries: Record<string, unknown>, field: string, programs: ToolEnvironment['programs']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => [name, startsProgram(entry) ? withVariables(entry, field, programs) : entry]),
  );
}

function startsProgram(entry: unknown): entry is Record<string, unknown> {
  return isMap(entry) && Array.isArray(entry['command']) && entry['enabled'] !== false && entry['disabled'] !== true;
}

function withVariables(entry: Record<string, unknown>, field: string, programs: ToolEnvironment['programs']): Record<string, unknown> {
  const own = entry[field];
  return { ...entry, [field]: { ...programs, ...(isMap(own) ? own : undefined) } };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
