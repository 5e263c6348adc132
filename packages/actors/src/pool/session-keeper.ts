import type { ServerKeeper } from '../recovery/index.ts';
import type { ProviderRetry, ReadRequest } from '../machines/index.ts';
import { SessionHost } from '../session/session-host.ts';
import { SessionRegistry } from '../session/session-registry.ts';
import type { PoolDependencies, PoolSettings } from './settings.ts';
import type { SessionSnapshot } from './types.ts';

export interface SessionKeeperOptions {
  /** The server of the moment; asked for at each use. */
  readonly servers: () => ServerKeeper;
  readonly settings: PoolSettings;
  readonly dependencies: PoolDependencies;
  readonly onRest: (host: SessionHost, quarantined: boolean) => void;
  readonly onRetry: (retry: ProviderRetry) => void;
  readonly onChange: (session: SessionSnapshot, from: string) => void;
}

/** Creates, lends and retires the sessions of a pool. */
export class SessionKeeper {
  readonly registry = new SessionRegistry(
    (server) => this.#options.servers().streamOf(server),
    () => this.#options.dependencies.clock.now(),
  );
  readonly #options: SessionKeeperOptions;
  readonly #machine: PoolDependencies['machine'];
  /** Sessions at rest that are not lent, oldest first: candidates for retirement. */
  readonly #resting = new Set<SessionHost>();

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    this.#machine = this.#withEffects(options.dependencies.machine);
  }

  /** A free session of the directory under `reuse`, else a new one. */
  async sessionFor(directory: string, title: string | undefined, signal: AbortSignal): Promise<SessionHost> {
    const free = this.#options.settings.reuse ? this.findIdle({ directory }) : undefined;
    return free ? this.take(free) : this.create(directory, title, signal);
  }

  async create(directory: string, title: string | undefined, signal?: AbortSignal): Promise<SessionHost> {
    const { servers, settings, dependencies, onChange, onRest, onRetry } = this.#options;
    const { server } = servers();
    const operations = await server.createSession({ directory, ...(title !== undefined && { title }), ...(signal && { signal }) });
    const host: SessionHost = new SessionHost({
      server,
      operations,
      machine: this.#machine,
      limits: settings.limits,
      inspection: settings.inspection,
      streamLive: servers().stream.state === 'live',
      clock: dependencies.clock,
      onChange,
      onRest,
      onRetry,
      onChild: (child) => this.registry.addChild(child, host),
    });
    this.registry.add(host);
    this.reattach(host);
    return host;
  }

  findIdle({ directory, id }: { readonly directory?: string; readonly id?: string }): SessionHost | undefined {
    for (const host of this.#resting) {
      const isWanted = (directory ?? host.directory) === host.directory && (id ?? host.id) === host.id;
      if (isWanted && host.isFree) return host;
    }
    return undefined;
  }

  /** Marks a session as in use. */
  take(host: SessionHost): SessionHost {
    this.#resting.delete(host);
    return host;
  }

  /** Takes a session back that has no turn in flight. The oldest at rest are let go: a long batch must not keep them all. */
  rest(host: SessionHost): void {
    if (host.lent || this.registry.get(host.id) !== host) return;
    this.#resting.delete(host);
    this.#resting.add(host);
    const keep = Math.max(16, 2 * this.#options.settings.maxSessions);
    for (const oldest of this.#resting) {
      if (this.#resting.size <= keep) break;
      if (oldest.state === 'dead') continue;
      this.drop(oldest);
    }
  }

  /** Takes a session without a turn over to the server of the moment, which has its history. */
  reattach(host: SessionHost): void {
    const { server, stream } = this.#options.servers();
    if (host.reattach(server, stream.state === 'live')) this.registry.refollow(host);
  }

  reattachAll(): void {
    for (const host of this.registry.all()) this.reattach(host);
  }

  drop(host: SessionHost): void {
    this.#resting.delete(host);
    this.registry.remove(host);
  }

  /** Deletes sessions whose actor is dead from the server, and forgets them; resolves with their number. */
  async cleanupDead(): Promise<number> {
    const dead = this.registry.all().filter(({ state }) => state === 'dead');
    await Promise.all(dead.map((host) => this.#deleteOnServer(host)));
    for (const host of dead) this.drop(host);
    return dead.length;
  }

  dispose(): void {
    for (const host of this.registry.all()) this.drop(host);
  }

  /** opencode goes on with the turn of a session that is deleted while busy: abort first. One that is gone is fine. */
  async #deleteOnServer({ operations }: SessionHost): Promise<void> {
    await operations.abort().catch(() => undefined);
    await operations.delete().catch(() => undefined);
  }

  /** One machine for all sessions: `provide` rebuilds it, which is too dear to do for each. */
  #withEffects(machine: PoolDependencies['machine']): PoolDependencies['machine'] {
    const contained =
      <Params>(effect: (host: SessionHost, params: Params) => void) =>
      ({ context }: { context: { readonly sessionId: string } }, params: Params) => {
        const host = this.registry.get(context.sessionId);
        if (!host) return;
        try {
          effect(host, params);
        } catch (error) {
          // After the transition: the machine must not be sent to while it moves.
          queueMicrotask(() => host.fail(error));
        }
      };
    return machine.provide({
      actions: {
        submitTurn: contained((host) => host.submitTurn()),
        requestAbort: contained((host) => host.requestAbort()),
        requestSnapshot: contained((host, request: ReadRequest) => host.requestSnapshot(request)),
        answerAsks: contained((host, { ids }: { readonly ids: readonly string[] }) => host.answerAsks(ids)),
        lookForProgress: contained((host) => host.lookForProgress()),
        abortChild: contained((host, { sessionId }: { readonly sessionId: string }) => host.abortChild(sessionId)),
        endTools: contained((host) => host.endTools()),
      },
    });
  }
}
