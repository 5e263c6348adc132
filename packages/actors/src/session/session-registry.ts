import type { OpencodeServer } from '@opencode-manager/core';
import type { MonitorEvent } from '@opencode-manager/events';
import type { SessionHost } from './session-host.ts';

/** The sessions of a pool, and the way from an event to the one it concerns. */
export class SessionRegistry {
  readonly #hosts = new Map<string, SessionHost>();
  /** Root session of each sub-agent session, at any depth. */
  readonly #roots = new Map<string, SessionHost>();

  add(host: SessionHost): void {
    this.#hosts.set(host.id, host);
  }

  addChild(sessionId: string, host: SessionHost): void {
    this.#roots.set(sessionId, host);
  }

  /** Stops the actor and forgets the session; the server keeps it. */
  remove(host: SessionHost): void {
    this.#hosts.delete(host.id);
    for (const child of host.children) this.#roots.delete(child);
    host.dispose();
  }

  get(sessionId: string): SessionHost | undefined {
    return this.#hosts.get(sessionId);
  }

  all(): SessionHost[] {
    return [...this.#hosts.values()];
  }

  /** Sessions whose turns are on this server. */
  on(server: OpencodeServer): SessionHost[] {
    return this.all().filter((host) => host.server === server);
  }

  /**
   * Calls the host that an event concerns: the session's own, or the root's of a sub-agent. What a server tells of sessions
   * that have their turns on another one is left out.
   */
  route(event: MonitorEvent, source: OpencodeServer): void {
    if (event.type === 'stream.gap' || event.type === 'stream.live') return this.#broadcast(event, source);
    if (event.type === 'server.disposed') return this.#onDisposed(event.directory, source);
    if (event.sessionId === undefined) return;
    const parent = event.type === 'session.created' ? event.data.session.parentID : undefined;
    const owner = this.#ownerOf(event.sessionId) ?? (parent === undefined ? undefined : this.#ownerOf(parent));
    if (owner?.server === source) owner.onEvent(event);
  }

  #ownerOf(sessionId: string): SessionHost | undefined {
    return this.#hosts.get(sessionId) ?? this.#roots.get(sessionId);
  }

  #broadcast(event: MonitorEvent, source: OpencodeServer): void {
    for (const host of this.on(source)) host.onEvent(event);
  }

  /** A disposed directory has no turns any more, and says so to nobody: read the state, as after a gap. */
  #onDisposed(directory: string | undefined, source: OpencodeServer): void {
    for (const host of this.on(source)) {
      if (directory !== undefined && host.directory !== directory) continue;
      host.send({ type: 'stream.gap' });
      host.send({ type: 'stream.live' });
    }
  }
}
