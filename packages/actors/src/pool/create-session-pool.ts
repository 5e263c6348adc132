import { OpencodeManagerError } from '@opencode-manager/core';
import { serverPort, streamPort, type PoolPorts, type ServerPort, type StreamPort } from '../ports/index.ts';
import { sessionMachine } from '../machines/index.ts';
import { ExitWatch } from '../supervision/generation.ts';
import { Pool } from './session-pool.ts';
import { defaultDependencies, isRunningServer, settingsOf, type PoolDependencies } from './settings.ts';
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
  return createPool(options, defaultDependencies);
}

/** As {@link createSessionPool}, in the world that `ports` are; the machine of sessions may be another for a test. */
export async function createPool(
  options: SessionPoolOptions,
  ports: PoolPorts & Partial<Pick<PoolDependencies, 'machine'>>,
): Promise<SessionPool> {
  options.signal?.throwIfAborted();
  const dependencies: PoolDependencies = { machine: sessionMachine, ...ports };
  const settings = settingsOf(options, () => dependencies.clock.now());
  await using started = new AsyncDisposableStack();
  const server = await serverOf(options, dependencies, started);
  const stream = await streamOf(options, dependencies, server, started);
  const pool = new Pool({ server, stream, settings, dependencies, owned: started.move() });
  if (options.signal) pool.stopWith(options.signal);
  return pool;
}

async function serverOf({ server = {} }: SessionPoolOptions, { launch }: PoolPorts, started: AsyncDisposableStack): Promise<ServerPort> {
  if (isRunningServer(server)) return serverPort(server);
  const launched = await launch(server);
  started.defer(() => launched.stop());
  return launched;
}

async function streamOf(
  { monitor, signal }: SessionPoolOptions,
  { openStream, clock }: PoolPorts,
  server: ServerPort,
  started: AsyncDisposableStack,
): Promise<StreamPort> {
  const opened = monitor ? streamPort(monitor) : openStream(server);
  if (!monitor) started.defer(() => opened.close());
  // No event comes of a server that is gone already.
  await new ExitWatch(server).untilLive(opened, clock, signal);
  if (opened.state === 'live') return opened;
  throw new OpencodeManagerError('STREAM_UNAVAILABLE', `The event stream is ${opened.state}; a pool needs it live.`);
}
