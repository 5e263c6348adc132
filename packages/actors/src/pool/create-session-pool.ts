import { systemPorts } from '../ports/system.ts';
import { createPool } from './create-pool.ts';
import type { SessionPool, SessionPoolOptions } from './types.ts';

/**
 * Creates a pool that runs tasks on the sessions of one server.
 *
 * With a `ServerConfig` (or nothing) as `server`, the pool launches a server and stops it with itself; a running server
 * is used and left alone. The same holds for `monitor`.
 *
 * @throws `CONFIG_INVALID`, `CONFIG_KEY_UNKNOWN` for options that cannot be; `SERVER_EXITED` for a server that was stopped; whatever `launchServer` throws; `STREAM_UNAVAILABLE` when the event stream cannot be opened
 * @example
 * await using pool = await createSessionPool({ server: { directory: '/srv/repo' }, maxSessions: 4 })
 * const result = await pool.run({ prompt: 'Summarise the README' })
 * console.log(result.outcome, result.output)
 * @public
 */
export function createSessionPool(options: SessionPoolOptions = {}): Promise<SessionPool> {
  return createPool(options, systemPorts);
}
