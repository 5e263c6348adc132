import { OpencodeManagerError, type OpencodeServer, type SerializedError, type ServerExit } from '@opencode-manager/core';
import { EventMonitor, type MonitorEvent } from '@opencode-manager/events';
import { createActor, type ActorRefFrom } from 'xstate';
import { serverMachine } from '../machines/index.ts';
import type { Inspection } from '../pool/inspection.ts';
import { HealthWatch, type HealthCheck } from './health-watch.ts';

export interface ServerKeeperOptions {
  readonly server: OpencodeServer;
  readonly monitor: EventMonitor;
  /** When a server that does not answer counts as lost; never, when absent. */
  readonly health: HealthCheck | undefined;
  readonly inspection: Inspection;
  readonly now: () => number;
  readonly onEvent: (event: MonitorEvent) => void;
  /** The server is gone or of no use; told once an incarnation. Expected: somebody stopped it. */
  readonly onLost: (error: SerializedError, isExpected: boolean) => void;
}

/** Holds the server that a pool works on now, and its event stream; puts the next in their place when they are lost. */
export class ServerKeeper {
  readonly #options: ServerKeeperOptions;
  readonly #actor: ActorRefFrom<typeof serverMachine>;
  #server: OpencodeServer;
  #monitor: EventMonitor;
  #stopListening: () => void;
  /** Opened here, so closed here. */
  #ownMonitor: EventMonitor | undefined;
  #health: HealthWatch | undefined;
  #pastGaps = 0;
  #lost = false;
  #closed = false;

  constructor(options: ServerKeeperOptions) {
    this.#options = options;
    this.#actor = createActor(serverMachine, { input: {}, ...options.inspection(serverMachine, 'server') }).start();
    this.#server = options.server;
    this.#monitor = options.monitor;
    this.#stopListening = options.monitor.on({}, options.onEvent);
    this.#watch(options.server);
    this.#actor.send({ type: 'server.ready', atMs: options.now() });
  }

  get server(): OpencodeServer {
    return this.#server;
  }

  get monitor(): EventMonitor {
    return this.#monitor;
  }

  /** Gaps of all event streams so far. */
  get gaps(): number {
    return this.#pastGaps + this.#monitor.gaps;
  }

  /** True from the loss of a server until the next one is in its place. */
  get isLost(): boolean {
    return this.#lost;
  }

  /** Refuses to go on with what was begun on a server that is lost meanwhile. @throws `SERVER_EXITED` */
  assertCurrent(server: OpencodeServer): void {
    if (server === this.#server && !this.#lost) return;
    throw new OpencodeManagerError('SERVER_EXITED', 'The opencode server was lost before the turn was sent.', { output: server.output() });
  }

  /**
   * Starts the next server on the same state and opens its event stream. May be called again when it failed.
   * @throws as `OpencodeServer.relaunch`; `STREAM_UNAVAILABLE`, `SERVER_EXITED`
   */
  async relaunch(): Promise<void> {
    const next = await this.#server.relaunch();
    this.#server = next;
    const monitor = EventMonitor.open(next);
    const stopListening = monitor.on({}, this.#options.onEvent);
    try {
      await Promise.race([monitor.ready(), rejectAtExit(next)]);
    } catch (error) {
      await monitor.close();
      throw error;
    }
    if (this.#closed) return monitor.close();
    this.#replaceMonitor(monitor, stopListening);
    this.#lost = false;
    this.#watch(next);
    this.#actor.send({ type: 'server.ready', atMs: this.#options.now() });
  }

  /** There will be no next server. */
  giveUp(error: SerializedError): void {
    this.#actor.send({ type: 'server.given_up', error });
  }

  /** Hears of nothing any more, and closes the event stream that was opened here. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#actor.send({ type: 'server.stop' });
    this.#health?.stop();
    this.#stopListening();
    await this.#ownMonitor?.close();
  }

  /** Readers of the old stream see its end when the new one is there already. */
  #replaceMonitor(monitor: EventMonitor, stopListening: () => void): void {
    const previous = this.#monitor;
    this.#stopListening();
    this.#pastGaps += previous.gaps;
    this.#stopListening = stopListening;
    this.#monitor = monitor;
    this.#ownMonitor = monitor;
    void previous.close();
  }

  #watch(server: OpencodeServer): void {
    const { health: check } = this.#options;
    if (check) this.#health = new HealthWatch({ server, monitor: this.#monitor, check, onWedged: (error) => this.#lose(error) });
    void server.exited.then((exit) => this.#onExit(server, exit));
  }

  #onExit(server: OpencodeServer, exit: ServerExit): void {
    if (server === this.#server) this.#lose(serverExited(exit, server.output()), exit.expected);
  }

  #lose(error: SerializedError, isExpected = false): void {
    if (this.#lost || this.#closed) return;
    this.#lost = true;
    this.#health?.stop();
    this.#actor.send({ type: 'server.lost', error });
    this.#options.onLost(error, isExpected);
  }
}

/** What every turn of a server ends with when the server dies; carries the tail of its output. */
function serverExited(exit: ServerExit, output: string): SerializedError {
  const how = exit.signal === undefined ? `exit code ${exit.exitCode}` : `signal ${exit.signal}`;
  return new OpencodeManagerError('SERVER_EXITED', `The opencode server ended (${how}).`, { output, details: { ...exit } }).toJSON();
}

async function rejectAtExit(server: OpencodeServer): Promise<never> {
  throw OpencodeManagerError.from(serverExited(await server.exited, server.output()));
}
