import { createSessionPool, type SessionPool, type SessionPoolOptions } from '@opencode-manager/actors';
import { launchServer, runSocketPath, type OpencodeServer, type ServerConfig, type StopReport } from '@opencode-manager/core';
import { openManagerSocket, type ManagerSocket } from '../manager-socket/index.ts';
import type { StopSignals } from '../signals.ts';
import { createHandlers } from './handlers.ts';

/** A server, its pool and the socket through which other commands reach them. */
export interface Manager {
  readonly server: OpencodeServer;
  readonly pool: SessionPool;
  /** Absent when it could not be opened and the command does without. */
  readonly socket: ManagerSocket | undefined;
  /** Ends all three, whatever state they are in. Idempotent. @throws OpencodeManagerError `SERVER_STOP_INCOMPLETE` */
  stop(): Promise<StopReport>;
}

export interface ManagerOptions {
  readonly config: ServerConfig;
  readonly pool?: Omit<SessionPoolOptions, 'server' | 'monitor' | 'signal'>;
  readonly signals: StopSignals;
  /** Told when the socket cannot be opened; without it that is an error. */
  readonly onSocketError?: (error: NodeJS.ErrnoException) => void;
}

/**
 * Starts a manager. A stop signal during the start ends the start: there is nothing yet that could be finished first.
 * @throws OpencodeManagerError those of `launchServer` and `createSessionPool`, `REQUEST_ABORTED` after a stop signal
 */
export async function openManager(options: ManagerOptions): Promise<Manager> {
  const { config, pool: poolOptions, signals } = options;
  const server = await launchUnlessStopped(config, signals.drain);
  try {
    const pool = await createSessionPool({ ...poolOptions, server });
    const socket = await openSocket(server, pool, options);
    return assemble(server, pool, socket, signals);
  } catch (error) {
    await server.stop().catch(() => undefined);
    throw error;
  }
}

/** A batch runs without its socket too, for example below a temporary directory whose path is too long for one. */
async function openSocket(
  server: OpencodeServer,
  pool: SessionPool,
  { onSocketError }: ManagerOptions,
): Promise<ManagerSocket | undefined> {
  try {
    return await openManagerSocket(runSocketPath(server.runId), createHandlers(server, pool));
  } catch (error) {
    if (!onSocketError) throw error;
    onSocketError(error as NodeJS.ErrnoException);
    return undefined;
  }
}

/** The signal reaches the start alone: later it means to finish what runs, not to stop the server under it. */
async function launchUnlessStopped(config: ServerConfig, stop: AbortSignal): Promise<OpencodeServer> {
  const starting = new AbortController();
  const onStop = () => starting.abort(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  try {
    return await launchServer({ ...config, signal: starting.signal });
  } finally {
    stop.removeEventListener('abort', onStop);
  }
}

function assemble(server: OpencodeServer, pool: SessionPool, socket: ManagerSocket | undefined, signals: StopSignals): Manager {
  let stopping: Promise<StopReport> | undefined;
  // The third signal does not wait for anything: what the server had in flight is lost, and the sweep takes the rest.
  signals.kill.addEventListener('abort', () => killQuietly(server.pid), { once: true });
  return {
    server,
    pool,
    socket,
    stop() {
      stopping ??= stopAll(server, pool, socket);
      return stopping;
    },
  };
}

async function stopAll(server: OpencodeServer, pool: SessionPool, socket: ManagerSocket | undefined): Promise<StopReport> {
  await Promise.allSettled([socket?.close(), pool.stop()]);
  return server.stop();
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
