import { launchServer, OpencodeManagerError, type OpencodeServer } from '@opencode-manager/core';
import { EventMonitor } from '@opencode-manager/events';
import { Pool } from './session-pool.ts';
import { defaultDependencies, isRunningServer, settingsOf, type PoolDependencies } from './settings.ts';
import type { SessionPool, SessionPoolOptions } from './types.ts';

/**
 * Creates a pool that runs tasks on the sessions of one server.
 *
 * With a `ServerConfig` (or nothing) as `server`, the pool launches a server and stops it with itself; a running server
 * is used and left alone. The same holds for `monitor`.
 *
 * @throws `CONFIG_INVALID` for a limit that is none; whatever `launchServer` throws; `STREAM_UNAVAILABLE` when the event stream cannot be opened
 * @example
 * await using pool = await createSessionPool({ server: { directory: '/srv/repo' }, maxSessions: 4 })
 * const result = await pool.run({ prompt: 'Summarise the README' })
 * console.log(result.outcome, result.output)
 * @public
 */
export function createSessionPool(options: SessionPoolOptions = {}): Promise<SessionPool> {
  return createPool(options, defaultDependencies);
}

/** As {@link createSessionPool}, with time, chance and the session machine injected. */
export async function createPool(options: SessionPoolOptions, dependencies: PoolDependencies): Promise<SessionPool> {
  options.signal?.throwIfAborted();
  const settings = settingsOf(options, dependencies.now);
  await using started = new AsyncDisposableStack();
  const server = await serverOf(options, started);
  const monitor = await monitorOf(options, server, started);
  const pool = new Pool({ server, monitor, settings, dependencies, owned: started.move() });
  stopWithSignal(pool, options.signal);
  return pool;
}

async function serverOf({ server = {} }: SessionPoolOptions, started: AsyncDisposableStack): Promise<OpencodeServer> {
  if (isRunningServer(server)) return server;
  const launched = await launchServer(server);
  started.defer(async () => void (await launched.stop()));
  return launched;
}

async function monitorOf(
  { monitor, signal }: SessionPoolOptions,
  server: OpencodeServer,
  started: AsyncDisposableStack,
): Promise<EventMonitor> {
  const opened = monitor ?? EventMonitor.open(server);
  if (!monitor) started.defer(() => opened.close());
  await opened.ready(signal ? { signal } : {});
  if (opened.state === 'live') return opened;
  throw new OpencodeManagerError('STREAM_UNAVAILABLE', `The event stream is ${opened.state}; a pool needs it live.`);
}

function stopWithSignal(pool: SessionPool, signal: AbortSignal | undefined): void {
  const stop = () => void pool.stop().catch(() => undefined);
  if (signal?.aborted) stop();
  else signal?.addEventListener('abort', stop, { once: true });
}
