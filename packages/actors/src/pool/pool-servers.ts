import { OpencodeManagerError, toManagerError, type SerializedError } from '@opencode-manager/core/errors';
import type { ActorRefFrom } from 'xstate';
import type { poolMachine } from '../machines/index.ts';
import type { ServerPort, StreamNotice, StreamPort } from '../ports/index.ts';
import { ServerKeeper, type ServerLoss } from '../recovery/index.ts';
import type { SessionHost } from '../session/session-host.ts';
import type { PoolEvents } from './pool-events.ts';
import { PoolStream } from './pool-stream.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { PoolDependencies, PoolSettings } from './settings.ts';
import type { PoolEvent } from './types.ts';

export interface PoolServersOptions {
  readonly server: ServerPort;
  readonly streamPort: StreamPort;
  readonly settings: PoolSettings;
  readonly dependencies: PoolDependencies;
  readonly actor: ActorRefFrom<typeof poolMachine>;
  readonly sessions: SessionKeeper;
  readonly events: PoolEvents;
  readonly isStopping: () => boolean;
}

/** What the loss and the replacement of servers mean for a pool: for its actor, its sessions and its listeners. */
export class PoolServers {
  readonly keeper: ServerKeeper;
  /** What all of them tell, as one stream. */
  readonly stream: PoolStream;
  readonly #options: PoolServersOptions;

  constructor(options: PoolServersOptions) {
    this.#options = options;
    const { server, streamPort, settings, dependencies, events } = options;
    const { health, memory, inspection } = settings;
    this.stream = new PoolStream(() => this.keeper.streams.map(({ handle }) => handle));
    this.keeper = new ServerKeeper({
      server,
      stream: streamPort,
      openStream: dependencies.openStream,
      clock: dependencies.clock,
      health,
      memory,
      inspection,
      onNotice: (notice, source) => this.#onNotice(notice, source),
      onStream: (next) => this.stream.add(next.handle),
      onLost: (loss) => this.#onLost(loss),
      onRotating: (reason) => {
        const { generation, rssBytes } = this.keeper.context;
        events.emit({ type: 'server.rotating', reason, generation, ...(rssBytes !== null && { rssBytes }) });
      },
      onRotated: () => this.#onRotated(),
      onRotationFailed: (error) => events.emit({ type: 'server.rotation_failed', error }),
      onRetired: (generation) => events.emit({ type: 'server.retired', generation }),
      isUsed: (used) => options.sessions.registry.on(used).some(({ taskId }) => taskId !== null),
    });
  }

  /** Carries out the actor's decision that another server is started in the place of the lost one. */
  async relaunch(): Promise<void> {
    const { actor, sessions, events, isStopping } = this.#options;
    try {
      await this.keeper.relaunch();
    } catch (error) {
      const { server } = this.keeper;
      if (!isStopping()) this.#onLost({ server, error: toManagerError(error).toJSON(), isExpected: false, isPresent: true });
      return;
    }
    if (isStopping() || this.keeper.isLost) return;
    sessions.reattachAll();
    events.emit({ type: 'server.restarted', server: this.#facts(), restarts: actor.getSnapshot().context.serverRestarts });
    actor.send({ type: 'server.recovered' });
  }

  /** Replaces the server while it runs. @throws `CONFIG_INVALID`, `POOL_STOPPED`, whatever the start of a server throws */
  async rotate(): Promise<void> {
    const { settings, events } = this.#options;
    if (!settings.recovers) {
      throw new OpencodeManagerError('CONFIG_INVALID', 'rotateServer(): this pool may not start servers. Create it with recovery: true.', {
        details: { field: 'recovery' },
      });
    }
    const done = Promise.withResolvers<void>();
    const stop = events.on('*', (event) => settle(event, done));
    try {
      this.keeper.rotate('asked');
      await done.promise;
    } finally {
      stop();
    }
  }

  /** A turn has ended: its session goes on with the server of the moment, and a server that retires may be free now. */
  onRest(host: SessionHost, quarantined: boolean): void {
    // What the turn goes on with ends with its server alone.
    if (quarantined && this.#options.settings.recovers && host.server === this.keeper.server) this.keeper.rotate('quarantine');
    this.#options.sessions.reattach(host);
    this.keeper.retireUnused();
  }

  #onNotice(notice: StreamNotice, source: ServerPort): void {
    this.#options.sessions.registry.notice(notice, source);
    if (notice.type === 'stream.gap') this.#options.events.emit({ type: 'stream.gap', generation: notice.generation });
  }

  #onRotated(): void {
    this.#options.sessions.reattachAll();
    this.#options.events.emit({ type: 'server.rotated', server: this.#facts(), generation: this.keeper.context.generation });
  }

  #onLost({ server, error, isExpected, isPresent }: ServerLoss): void {
    if (isPresent) this.#onPresentLost(server, error, isExpected);
    else this.#tell(server, 'server.interrupted', error);
  }

  /** The actor decides whether there is to be another server; the sessions are told what that means for their turns. */
  #onPresentLost(server: ServerPort, error: SerializedError, isExpected: boolean): void {
    const { actor, settings, dependencies, isStopping } = this.#options;
    const recovery = { atMs: dependencies.clock.now(), jitter: 2 * dependencies.random() - 1 };
    const recovers = settings.recovers && !isStopping() && !isExpected;
    actor.send({ type: 'server.exited', error, ...(recovers && { recovery }) });
    const { value, context } = actor.getSnapshot();
    if (value === 'recovering') return this.#tell(server, 'server.interrupted', error);
    this.keeper.giveUp(context.error ?? error);
    this.#tell(server, 'server.exited', context.error ?? error);
  }

  #tell(server: ServerPort, type: 'server.interrupted' | 'server.exited', error: SerializedError): void {
    for (const host of this.#options.sessions.registry.on(server)) host.send({ type, error });
  }

  #facts() {
    const { pid, url, version } = this.keeper.server;
    return { pid, url, version };
  }
}

function settle(event: PoolEvent, done: PromiseWithResolvers<void>): void {
  if (event.type === 'server.rotated' || event.type === 'server.restarted') done.resolve();
  else if (event.type === 'server.rotation_failed') done.reject(OpencodeManagerError.from(event.error));
  else if (event.type === 'pool.changed' && ['draining', 'stopped', 'failed'].includes(event.state)) {
    done.reject(new OpencodeManagerError('POOL_STOPPED', `The pool is ${event.state}; its server is not replaced any more.`));
  }
}
