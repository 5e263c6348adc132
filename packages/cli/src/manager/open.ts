import { createSessionPool, type SessionPool, type SessionPoolOptions } from '@opencode-manager/actors';
import {
  launchServer,
  runSocketPath,
  type OpencodeServer,
  type Redactor,
  type ServerConfig,
  type StopReport,
} from '@opencode-manager/core';
import { openManagerSocket, type ManagerSocket } from '../manager-socket/index.ts';
import type { StopSignals } from '../signals.ts';
import { createHandlers, type PageRequest } from './handlers.ts';
import { reapDeadManagers } from './reap.ts';
import type { StartRun } from './run-handlers.ts';
import { RunDesk } from './run-desk.ts';
import { createSessionDesk, type SessionDesk } from './session-desk.ts';

/** A server, its pool and the socket through which other commands reach them. */
export interface Manager {
  /** The server of the moment: another one after a recovery. */
  readonly server: OpencodeServer;
  readonly pool: SessionPool;
  /** Sessions for clients, of the socket and of pages. */
  readonly desk: SessionDesk;
  /** The runs that it carries out. */
  readonly runs: RunDesk;
  /** Absent when it could not be opened and the command does without. */
  readonly socket: ManagerSocket | undefined;
  /** Ends all three, whatever state they are in. Idempotent. @throws OpencodeManagerError `SERVER_STOP_INCOMPLETE` */
  stop(): Promise<StopReport>;
}

export interface ManagerOptions {
  readonly config: ServerConfig;
  readonly pool?: Omit<SessionPoolOptions, 'server' | 'monitor' | 'signal'>;
  readonly signals: StopSignals;
  /** Learns the secrets of the server. */
  readonly redactor: Redactor;
  /** Told what was cleaned up after managers that are gone, if anything. */
  readonly onReaped: (line: string) => void;
  /** Told when the socket cannot be opened; without it that is an error. */
  readonly onSocketError?: (error: NodeJS.ErrnoException) => void;
  /** Begins a run for a client of the socket; absent: none can be begun. */
  readonly startRun?: (manager: Manager, request: Parameters<StartRun>[0]) => ReturnType<StartRun>;
  /** Opens a page of the playground for a client of the socket; absent: there is none to be had. */
  readonly pages?: (manager: Manager, request: PageRequest) => Promise<{ readonly url: string } & AsyncDisposable>;
}

/**
 * Starts a manager. A stop signal during the start ends the start: there is nothing yet that could be finished first.
 * @throws OpencodeManagerError those of `launchServer` and `createSessionPool`, `REQUEST_ABORTED` after a stop signal
 */
export async function openManager(options: ManagerOptions): Promise<Manager> {
  const { config, pool: poolOptions, signals, onReaped, redactor } = options;
  // What cannot be cleaned up must not keep a run from starting: ocm doctor names it.
  const reaped = await reapDeadManagers().catch(() => undefined);
  if (reaped !== undefined) onReaped(reaped);
  const server = await launchUnlessStopped({ ...config, redactor }, signals.drain);
  try {
    const pool = await createSessionPool({ recovery: true, ...poolOptions, server });
    const desk = createSessionDesk(pool);
    const manager = assemble(pool, desk, signals);
    manager.socket = await openSocket(manager, options);
    return manager;
  } catch (error) {
    await server.stop().catch(() => undefined);
    throw error;
  }
}

/** A batch runs without its socket too, for example below a temporary directory whose path is too long for one. */
async function openSocket(
  manager: Manager,
  { onSocketError, pages, startRun, redactor }: ManagerOptions,
): Promise<ManagerSocket | undefined> {
  const { pool, desk, runs } = manager;
  try {
    return await openManagerSocket(
      runSocketPath(pool.server.runId),
      createHandlers({
        pool,
        desk,
        runs,
        startRun: startRun && ((request) => startRun(manager, request)),
        openPage: pages && ((request) => pages(manager, request)),
      }),
      redactor,
    );
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

/** The socket is put in when it is open. */
type OpenManager = Omit<Manager, 'socket'> & { socket: ManagerSocket | undefined };

function assemble(pool: SessionPool, desk: SessionDesk, signals: StopSignals): OpenManager {
  let stopping: Promise<StopReport> | undefined;
  // The third signal does not wait for anything: what the server had in flight is lost, and the sweep takes the rest.
  const kill = () => {
    // A pool that is stopping starts no server in place of the one that dies.
    void pool.stop().catch(() => undefined);
    killQuietly(pool.server.pid);
  };
  signals.kill.addEventListener('abort', kill, { once: true });
  return {
    get server() {
      return pool.server;
    },
    pool,
    desk,
    runs: new RunDesk(),
    socket: undefined,
    stop() {
      stopping ??= stopAll(pool, this.socket);
      return stopping;
    },
  };
}

async function stopAll(pool: SessionPool, socket: ManagerSocket | undefined): Promise<StopReport> {
  await Promise.allSettled([socket?.close(), pool.stop()]);
  // Whichever handle it is: the stop of one ends the run, a start of the next one included.
  return pool.server.stop();
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
