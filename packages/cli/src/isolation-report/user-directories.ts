import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where the user's own opencode keeps things: its directories below each XDG base (the variable's, and the default's,
 * since a server that ignored the variable would write there), and `~/.opencode`.
 */
export function userOpencodeDirectories(env: NodeJS.ProcessEnv = process.env, home: string = homedir()): string[] {
  const bases = [
    env['XDG_CONFIG_HOME'],
    join(home, '.config'),
    env['XDG_DATA_HOME'],
    join(home, '.local', 'share'),
    env['XDG_STATE_HOME'],
    join(home, '.local', 'state'),
    env['XDG_CACHE_HOME'],
    join(home, '.cache'),
  ];
  const directories = bases.flatMap((base) => (base ? [join(base, 'opencode')] : []));
  return [...new Set([...directories, join(home, '.opencode')])];
}
