import type { SerializedError } from '@opencode-manager/core';
import { isRateLimit } from '../machines/index.ts';
import type { Clock, ServerPort } from '../ports/index.ts';
import type { SessionHost } from '../session/session-host.ts';
import type { ServerSupervisor, SupervisorListener } from '../supervision/index.ts';
import type { DirectoryUse } from './directory-use.ts';
import type { PoolEvents } from './pool-events.ts';
import { tellProviders } from './provider-events.ts';
import type { PoolStream } from './pool-stream.ts';
import type { SessionListener, SessionStore } from './session-store.ts';
import { tell, type PoolActor } from './tell.ts';

export interface WiredParts {
  readonly actor: PoolActor;
  readonly supervisor: ServerSupervisor;
  readonly sessions: SessionStore;
  readonly directories: DirectoryUse;
  readonly events: PoolEvents;
  readonly stream: PoolStream;
  readonly clock: Clock;
}

/** Lets the parts of a pool hear of each other: what servers and sessions tell becomes facts for the pool actor, and events. */
export function wire(parts: WiredParts): void {
  parts.sessions.listen(sessionListener(parts));
  parts.supervisor.listen(serverListener(parts));
  tellProviders(parts.actor, parts.events);
}

function sessionListener({ actor, supervisor, sessions, directories, events, clock }: WiredParts): SessionListener {
  return {
    onRest(host, quarantined) {
      if (quarantined) {
        sessions.quarantine(host);
        // What still runs there must not lose its directory.
        void directories.enter(host.directory);
        supervisor.noteQuarantine(host.server);
      }
      sessions.reattach(host, supervisor.server);
      supervisor.noteUnused((server) => sessions.isUsed(server));
    },
    onRetry({ taskId }: SessionHost, { message, nextAtMs }, provider) {
      const pause = { atMs: clock.now(), untilMs: nextAtMs, isRateLimit: isRateLimit(message) };
      tell(actor, { type: 'provider.paused', provider, ...(taskId !== null && { taskId }), ...pause });
    },
    onSpent: ({ id: sessionId }, taskId, spent, isLast) => events.emit({ type: 'task.spent', taskId, sessionId, ...spent, isLast }),
    onChange(session, from) {
      events.emit({ type: 'session.changed', session, from });
      const { sessionId, state } = session;
      if (state === 'dead' && sessions.isLeased(sessionId)) tell(actor, { type: 'session.died', sessionId });
    },
  };
}

function serverListener({ actor, supervisor, sessions, directories, events, stream }: WiredParts): SupervisorListener {
  const tellSessions = (server: ServerPort, type: 'server.interrupted' | 'server.exited', error: SerializedError) => {
    for (const host of sessions.registry.on(server)) host.send({ type, error });
  };
  const facts = () => {
    const { pid, url, version } = supervisor.server;
    return { pid, url, version };
  };
  const takeOver = () => {
    sessions.reattachAll(supervisor.server);
    supervisor.noteUnused((server) => sessions.isUsed(server));
  };
  return {
    onNotice(notice, server) {
      sessions.registry.notice(notice, server);
      if (notice.type === 'stream.gap') events.emit({ type: 'stream.gap', generation: notice.generation });
    },
    onStream(next, server) {
      stream.add(next.handle);
      sessions.refollow(server);
    },
    onAway(server, error) {
      tell(actor, { type: 'server.away', error });
      tellSessions(server, 'server.interrupted', error);
    },
    onGivenUp(server, error) {
      tell(actor, { type: 'server.exited', error });
      tellSessions(server, 'server.exited', error);
    },
    onRestarted(generation, restarts) {
      sessions.reattachAll(supervisor.server);
      events.emit({ type: 'server.restarted', server: facts(), restarts });
      tell(actor, { type: 'server.recovered', generation });
    },
    onRotating: (reason, generation, rssBytes) =>
      events.emit({ type: 'server.rotating', reason, generation, ...(rssBytes !== null && { rssBytes }) }),
    onRotated(generation) {
      tell(actor, { type: 'server.rotated', generation });
      takeOver();
      events.emit({ type: 'server.rotated', server: facts(), generation });
    },
    onRotationFailed: (error) => events.emit({ type: 'server.rotation_failed', error }),
    onMemoryHeld: (rssBytes, maxBytes, untilMs) => events.emit({ type: 'server.memory_held', rssBytes, maxBytes, untilMs }),
    onRetiringLost: (server, error) => tellSessions(server, 'server.interrupted', error),
    onRetired: (generation) => events.emit({ type: 'server.retired', generation }),
    onGone(server) {
      for (const { directory } of sessions.endQuarantine(server)) directories.leave(directory);
    },
  };
}
