import type { ProviderRetry, ReadRequest, TurnSpent } from '../machines/index.ts';
import type { ServerPort, SessionPort, StreamPort } from '../ports/index.ts';
import { SessionHost } from '../session/session-host.ts';
import { SessionRegistry } from '../session/session-registry.ts';
import type { PoolDependencies, PoolSettings } from './settings.ts';
import type { SessionSnapshot } from './types.ts';

/** What the sessions of a pool tell. */
export interface SessionListener {
  /** No turn is in flight any more. Quarantined: the server may still work on it. */
  onRest(host: SessionHost, quarantined: boolean): void;
  onRetry(host: SessionHost, retry: ProviderRetry, provider: string | null): void;
  onSpent(host: SessionHost, taskId: string, spent: TurnSpent, isLast: boolean): void;
  onChange(session: SessionSnapshot, from: string): void;
}

export interface SessionStoreOptions {
  readonly settings: PoolSettings;
  readonly dependencies: PoolDependencies;
  /** Where the event stream of each server is found. */
  readonly streams: ReadonlyMap<ServerPort, StreamPort>;
}

/** Makes, leases and forgets the sessions of a pool. */
export class SessionStore {
  readonly registry: SessionRegistry;
  readonly #options: SessionStoreOptions;
  readonly #machine: PoolDependencies['machine'];
  readonly #listeners: SessionListener[] = [];
  /** Idle sessions that nobody holds, oldest first: candidates for another task, and for being forgotten. */
  readonly #resting = new Set<SessionHost>();
  readonly #leased = new Set<SessionHost>();
  /** Sessions whose turn nothing ended: they are followed until their server is gone. */
  readonly #quarantined = new Set<SessionHost>();
  readonly #dead = new Set<SessionHost>();
  /** Sessions whose directory is gone: kept to be looked at, and used for nothing. */
  readonly #retired = new Set<SessionHost>();

  constructor(options: SessionStoreOptions) {
    this.#options = options;
    this.registry = new SessionRegistry(
      (server) => options.streams.get(server),
      () => options.dependencies.clock.now(),
    );
    this.#machine = this.#withEffects(options.dependencies.machine);
  }

  listen(listener: SessionListener): void {
    this.#listeners.push(listener);
  }

  /** A free session of the directory under `reuse`, else a new one. */
  async sessionFor(server: ServerPort, directory: string, title: string, signal: AbortSignal): Promise<SessionHost> {
    const free = this.#options.settings.reuse ? this.findIdle({ directory }) : undefined;
    if (!free) return this.create(server, directory, title, signal);
    this.#resting.delete(free);
    return free;
  }

  async create(server: ServerPort, directory: string, title: string | undefined, signal?: AbortSignal): Promise<SessionHost> {
    return this.adopt(server, await server.createSession({ directory, ...(title !== undefined && { title }), ...(signal && { signal }) }));
  }

  /** Follows a session that exists, as one of the pool. */
  adopt(server: ServerPort, operations: SessionPort): SessionHost {
    const { settings, dependencies, streams } = this.#options;
    const host: SessionHost = new SessionHost({
      server,
      operations,
      machine: this.#machine,
      limits: settings.limits,
      inspection: settings.inspection,
      streamLive: streams.get(server)?.state === 'live',
      clock: dependencies.clock,
      onChange: (session, from) => this.#onChange(session, from),
      onRest: (rested, quarantined) => this.#tell((one) => one.onRest(rested, quarantined)),
      onRetry: (retry, provider) => this.#tell((one) => one.onRetry(host, retry, provider)),
      prices: settings.prices,
      onSpent: (taskId, spent, isLast) => this.#tell((one) => one.onSpent(host, taskId, spent, isLast)),
      onChild: (child) => this.registry.addChild(child, host),
    });
    this.registry.add(host);
    return host;
  }

  findIdle({ directory, id }: { readonly directory?: string; readonly id?: string }): SessionHost | undefined {
    return [...this.#resting].find(
      (host) =>
        (directory ?? host.directory) === host.directory && (id ?? host.id) === host.id && host.state === 'idle' && host.taskId === null,
    );
  }

  /** Holds a session for a caller. */
  lease(host: SessionHost): void {
    this.#resting.delete(host);
    this.#leased.add(host);
  }

  isLeased(sessionId: string): boolean {
    const host = this.registry.get(sessionId);
    return host !== undefined && this.#leased.has(host);
  }

  /** Takes a leased session back. */
  takeBack(host: SessionHost): void {
    this.#leased.delete(host);
    this.rest(host);
  }

  /** Takes a session back that nobody holds. The oldest are let go: a long batch must not keep them all. */
  rest(host: SessionHost): void {
    this.#keep(host, this.#retired.has(host) ? this.#retired : this.#resting);
  }

  /** Takes a session back whose directory goes away: nobody gets it again. */
  retire(host: SessionHost): void {
    this.#resting.delete(host);
    this.#keep(host, this.#retired);
  }

  #keep(host: SessionHost, where: Set<SessionHost>): void {
    const isOurs = this.registry.get(host.id) === host && host.state !== 'dead' && host.taskId === null;
    if (!isOurs || this.#leased.has(host) || this.#quarantined.has(host)) return;
    where.delete(host);
    where.add(host);
    this.#trim(where);
  }

  /** Keeps a session aside whose turn may go on: it is followed, and used for nothing. */
  quarantine(host: SessionHost): void {
    this.#resting.delete(host);
    this.#quarantined.add(host);
  }

  isQuarantined(host: SessionHost): boolean {
    return this.#quarantined.has(host);
  }

  /** Forgets the quarantined sessions of a server that is gone; gives them. */
  endQuarantine(server: ServerPort): SessionHost[] {
    const ended = [...this.#quarantined].filter((host) => host.server === server);
    for (const host of ended) this.drop(host);
    return ended;
  }

  /** Whether a turn is in flight on a server that comes to an end by itself. */
  isUsed(server: ServerPort): boolean {
    return this.registry.on(server).some((host) => host.taskId !== null && !this.#quarantined.has(host));
  }

  /** Takes a session without a turn over to another server, which has its history. */
  reattach(host: SessionHost, server: ServerPort): void {
    if (this.#quarantined.has(host)) return;
    if (host.reattach(server, this.#options.streams.get(server)?.state === 'live')) this.registry.refollow(host);
  }

  reattachAll(server: ServerPort): void {
    for (const host of this.registry.all()) this.reattach(host, server);
  }

  /** The events of a server come by another stream. */
  refollow(server: ServerPort): void {
    for (const host of this.registry.on(server)) this.registry.refollow(host);
  }

  drop(host: SessionHost): void {
    for (const set of [this.#resting, this.#leased, this.#quarantined, this.#dead, this.#retired]) set.delete(host);
    this.registry.remove(host);
  }

  /** Deletes dead sessions from the server, and forgets them; resolves with their number. */
  async cleanupDead(): Promise<number> {
    const dead = this.registry.all().filter((host) => host.state === 'dead' && !this.#quarantined.has(host));
    await Promise.all(dead.map((host) => this.#deleteOnServer(host)));
    for (const host of dead) this.drop(host);
    return dead.length;
  }

  dispose(): void {
    for (const host of this.registry.all()) this.drop(host);
    this.#listeners.length = 0;
  }

  #tell(what: (listener: SessionListener) => void): void {
    for (const listener of this.#listeners) what(listener);
  }

  #onChange(session: SessionSnapshot, from: string): void {
    const host = this.registry.get(session.sessionId);
    if (host && session.state === 'dead') {
      this.#resting.delete(host);
      this.#dead.add(host);
      // After the transition that this is told in the midst of.
      queueMicrotask(() => this.#trim(this.#dead));
    }
    this.#tell((one) => one.onChange(session, from));
  }

  #trim(hosts: ReadonlySet<SessionHost>): void {
    let surplus = hosts.size - Math.max(16, 2 * this.#options.settings.maxSessions);
    for (const oldest of hosts) {
      if (surplus <= 0) return;
      surplus -= 1;
      if (!this.#leased.has(oldest) && !this.#quarantined.has(oldest)) this.drop(oldest);
    }
  }

  /** opencode goes on with the turn of a session that is deleted while busy: abort first. One that is gone is fine. */
  async #deleteOnServer({ operations }: SessionHost): Promise<void> {
    await operations.abort().catch(() => undefined);
    await operations.delete().catch(() => undefined);
  }

  /** One machine for all sessions: `provide` rebuilds it, which is too expensive to do for each. */
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
        abortChildren: contained((host, { ids }: { readonly ids: readonly string[] }) => host.abortChildren(ids)),
        lookForProgress: contained((host) => host.lookForProgress()),
        endTools: contained((host) => host.endTools()),
      },
    });
  }
}
