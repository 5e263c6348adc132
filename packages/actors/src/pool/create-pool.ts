import { OpencodeManagerError } from '@opencode-manager/core/errors';
import { sessionMachine } from '../machines/index.ts';
import type { PoolPorts, ServerPort, StreamPort } from '../ports/index.ts';
import { ExitWatch } from '../supervision/generation.ts';
import { Owned } from './owned.ts';
import { Pool } from './session-pool.ts';
import { isRunningServer, memoryCheckOf, settingsOf, type PoolDependencies } from './settings.ts';
import type { SessionPool, SessionPoolOptions } from './types.ts';

/** Creates a pool in the world that `ports` are; the machine of sessions may be another for a test. */
export async function createPool(
  options: SessionPoolOptions,
  ports: PoolPorts & Partial<Pick<PoolDependencies, 'machine'>>,
): Promise<SessionPool> {
  options.signal?.throwIfAborted();
  const dependencies: PoolDependencies = { machine: sessionMachine, ...ports };
  const settings = settingsOf(options, () => dependencies.clock.now());
  const owned = new Owned();
  try {
    const memory = await memoryCheckOf(options, settings.recovers, dependencies);
    const server = await serverOf(options, dependencies, owned);
    const stream = await streamOf(options, dependencies, server, owned);
    const pool = new Pool({ server, stream, settings: { ...settings, memory }, dependencies, owned });
    if (options.signal) pool.stopWith(options.signal);
    return pool;
  } catch (error) {
    // Why there is no pool is what the caller must know.
    await owned.close().catch(() => undefined);
    throw error;
  }
}

async function serverOf({ server = {} }: SessionPoolOptions, { launch, adoptServer }: PoolPorts, owned: Owned): Promise<ServerPort> {
  if (isRunningServer(server)) return adopted('server', adoptServer?.(server));
  const launched = await launch(server);
  owned.defer(() => launched.stop());
  return launched;
}

async function streamOf(
  { monitor, signal }: SessionPoolOptions,
  { openStream, adoptMonitor, clock }: PoolPorts,
  server: ServerPort,
  owned: Owned,
): Promise<StreamPort> {
  const opened = monitor ? adopted('monitor', adoptMonitor?.(monitor)) : openStream(server);
  if (!monitor) owned.defer(() => opened.close());
  // No event comes of a server that is gone already.
  await new ExitWatch(server).untilLive(opened, clock, signal);
  if (opened.state === 'live') return opened;
  throw new OpencodeManagerError('STREAM_UNAVAILABLE', `The event stream is ${opened.state}; a pool needs it live.`);
}

function adopted<Port>(option: string, port: Port | undefined): Port {
  if (port) return port;
  throw new OpencodeManagerError('CONFIG_INVALID', `${option}: this world has none of the caller's own. Leave the option out.`, {
    details: { field: option },
  });
}
