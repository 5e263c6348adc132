import type { ResolvedConfig } from '../../config/index.ts';

/**
 * What the server's git runs with, as far as it decides where a repository begins: the same search path, the same `GIT_*` variables
 * of the user, no configuration but the one exception that the server's has (`safe.directory`: the user's, and its own workspace).
 */
export function gitEnvironment(
  { directory, env = {}, passEnv = [] }: Pick<ResolvedConfig, 'directory' | 'env' | 'passEnv'>,
  trusted: readonly string[] = [],
  source: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const names = ['PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', ...passEnv];
  const all = { ...Object.fromEntries(names.map((name) => [name, source[name]])), ...env };
  const kept = Object.entries(all).filter(([name, value]) => value !== undefined && /^(PATH|LANG|LC_\w+|GIT_\w+)$/.test(name));
  return {
    ...Object.fromEntries(kept),
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_COUNT: String(trusted.length + 1),
    ...Object.fromEntries([...trusted, directory].flatMap(safeDirectory)),
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
  };
}

function safeDirectory(directory: string, index: number): [string, string][] {
  return [
    [`GIT_CONFIG_KEY_${index}`, 'safe.directory'],
    [`GIT_CONFIG_VALUE_${index}`, directory],
  ];
}
