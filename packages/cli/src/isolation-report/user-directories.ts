import { join } from 'node:path';
import { userHome } from '@opencode-manager/core';

/**
 * Where the user's own opencode keeps things: its directories below each XDG base (the variable's, and the default's,
 * since a server that ignored the variable would write there), and `~/.opencode`. A user without a home has none of the latter.
 */
export function userOpencodeDirectories(env: NodeJS.ProcessEnv = process.env, home: string | undefined = userHome()): string[] {
  const below = (...names: string[]) => (home === undefined ? [] : [join(home, ...names)]);
  const bases = [
    env['XDG_CONFIG_HOME'],
    ...below('.config'),
    env['XDG_DATA_HOME'],
    ...below('.local', 'share'),
    env['XDG_STATE_HOME'],
    ...below('.local', 'state'),
    env['XDG_CACHE_HOME'],
    ...below('.cache'),
  ];
  const directories = bases.flatMap((base) => (base ? [join(base, 'opencode')] : []));
  return [...new Set([...directories, ...below('.opencode')])];
}
