import type { StreamNotice, StreamPort, ServerPort } from '../ports/index.ts';
import type { SessionHost } from './session-host.ts';

/** How the events of one session reach its host, while it is known here. */
interface Follower {
  readonly host: SessionHost;
  stop: () => void;
}

/** The sessions of a pool, and the way from an event to the one it concerns. */
export class SessionRegistry {
  readonly #hosts = new Map<string, SessionHost>();
  /** Of each session and each sub-agent session, at any depth. */
  readonly #followers = new Map<string, Follower>();
  readonly #streamOf: (server: ServerPort) => StreamPort | undefined;

  readonly #now: () => number;

  constructor(streamOf: (server: ServerPort) => StreamPort | undefined, now: () => number) {
    this.#streamOf = streamOf;
    this.#now = now;
  }

  add(host: SessionHost): void {
    this.#hosts.set(host.id, host);
    this.#follow(host.id, host);
  }

  addChild(sessionId: string, host: SessionHost): void {
    if (this.#hosts.get(host.id) === host && !this.#followers.has(sessionId)) this.#follow(sessionId, host);
  }

  /** The host has its turns on another server now: its facts come from there. */
  refollow(host: SessionHost): void {
    for (const sessionId of [host.id, ...host.children]) {
      this.#followers.get(sessionId)?.stop();
      this.#follow(sessionId, host);
    }
  }

  /** Stops the actor and forgets the session; the server keeps it. */
  remove(host: SessionHost): void {
    this.#hosts.delete(host.id);
    for (const sessionId of [host.id, ...host.children]) {
      this.#followers.get(sessionId)?.stop();
      this.#followers.delete(sessionId);
    }
    host.dispose();
  }

  get(sessionId: string): SessionHost | undefined {
    return this.#hosts.get(sessionId);
  }

  all(): SessionHost[] {
    return [...this.#hosts.values()];
  }

  /** Sessions whose turns are on this server. */
  on(server: ServerPort): SessionHost[] {
    return this.all().filter((host) => host.server === server);
  }

  /** What concerns more than one session, or one that is not known yet. */
  notice(notice: StreamNotice, source: ServerPort): void {
    switch (notice.type) {
      case 'stream.gap':
      case 'stream.failed':
        for (const host of this.on(source)) host.send({ type: 'stream.gap' });
        return;
      case 'stream.live':
        for (const host of this.on(source))
          host.send({ type: 'stream.live', atMs: this.#now(), ...(notice.incomplete && { incomplete: true }) });
        return;
      case 'session.created':
        return this.#onCreated(notice, source);
      case 'directory.disposed':
        return this.#onDisposed(notice.directory, source);
      case 'session.ended':
        return this.#onEnded(notice.sessionId, source);
      default:
    }
  }

  #onCreated({ sessionId, parentId }: Extract<StreamNotice, { type: 'session.created' }>, source: ServerPort): void {
    const parent = parentId === null ? undefined : this.#followers.get(parentId)?.host;
    if (parent?.server === source) parent.onChildCreated(sessionId);
  }

  #follow(sessionId: string, host: SessionHost): void {
    const stop = this.#streamOf(host.server)?.follow({ id: sessionId, directory: host.directory }, (fact) => host.onFact(sessionId, fact));
    this.#followers.set(sessionId, { host, stop: stop ?? (() => {}) });
  }

  #onEnded(sessionId: string, source: ServerPort): void {
    const host = this.#followers.get(sessionId)?.host;
    if (host?.server === source) this.#look(host);
  }

  /** A disposed directory has no turns any more, and says so to nobody. */
  #onDisposed(directory: string | null, source: ServerPort): void {
    for (const host of this.on(source)) {
      if (directory !== null && host.directory !== directory) continue;
      this.#look(host);
    }
  }

  /** Reads the state, as after a gap. */
  #look(host: SessionHost): void {
    host.send({ type: 'stream.gap' });
    host.send({ type: 'stream.live', atMs: this.#now() });
  }
}
