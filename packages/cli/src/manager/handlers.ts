import type { SessionPool, SessionSnapshot } from '@opencode-manager/actors';
import { OpencodeManagerError, type OpencodeServer, type SessionInfo } from '@opencode-manager/core';
import type { EventFilter } from '@opencode-manager/events';
import type { Handlers, SessionListing } from '../manager-socket/index.ts';
import type { DeskSession, SessionDesk } from './session-desk.ts';
import { streamTurn } from './stream-turn.ts';

/** What a page is to be like. */
export interface PageRequest {
  readonly allowControl?: boolean | undefined;
  readonly content?: boolean | undefined;
}

export interface HandlerParts {
  readonly pool: SessionPool;
  readonly desk: SessionDesk;
  readonly openPage?: ((request: PageRequest) => Promise<{ readonly url: string } & AsyncDisposable>) | undefined;
}

/** What the clients of a manager's socket may ask for, over the manager's own server, pool and event stream. */
export function createHandlers({ pool, desk, openPage }: HandlerParts): Handlers {
  const deadline = (timeoutMs: number | undefined) => (timeoutMs === undefined ? {} : { timeoutMs });
  return {
    describe: async () => describeManager(pool.server, pool),
    async credentials() {
      const { url, username, password } = pool.server.credentials();
      return { url, username, password };
    },
    sessions: (_params, { signal }) => listSessions(pool.server, pool, signal),
    async createSession({ title, directory }) {
      const session = await desk.create(title, directory);
      return { sessionId: session.id, directory: session.directory };
    },
    async prompt({ sessionId, text, timeoutMs }, { signal }) {
      return (await desk.open(sessionId)).prompt(text, { signal, ...deadline(timeoutMs) });
    },
    async promptStream({ sessionId, text, timeoutMs }, { signal, send }) {
      const session = await desk.open(sessionId);
      const result = await streamTurn(pool, session, { text, signal, ...deadline(timeoutMs) }, send);
      await send({ type: 'result', result });
      return null;
    },
    async exec({ sessionId, command, arguments: args, timeoutMs }, { signal }) {
      return (await desk.open(sessionId)).executeCommand(command, args, { signal, ...deadline(timeoutMs) });
    },
    async shell({ sessionId, line, timeoutMs }, { signal }) {
      return (await desk.open(sessionId)).executeShell(line, { signal, ...deadline(timeoutMs) });
    },
    async revert({ sessionId, messageId, force = false }, { signal }) {
      const session = await desk.open(sessionId);
      const target = messageId ?? (await newestUserMessage(session, signal));
      await session.revertMessage(target, { signal, force });
      return { sessionId, messageId: target };
    },
    async unrevert({ sessionId }, { signal }) {
      await (await desk.open(sessionId)).unrevert({ signal });
      return { sessionId };
    },
    async abort({ sessionId }) {
      await desk.abort(sessionId);
      return { sessionId };
    },
    async deleteSession({ sessionId }, { signal }) {
      return { sessionId, deleted: await desk.delete(sessionId, { signal }) };
    },
    async events(filter, { signal, send }) {
      for await (const event of pool.events.streamEvents(filter as EventFilter, { signal })) await send(event);
      return null;
    },
    async page(request, { signal, send }) {
      await using page = await (openPage ?? refusePage)(request);
      await send({ url: page.url });
      await untilAborted(signal);
      return null;
    },
  };
}

function refusePage(): never {
  throw new OpencodeManagerError(
    'PLAYGROUND_UNAVAILABLE',
    `The manager ${process.pid} was started without a playground. Start it with --playground, or use ocm serve.`,
  );
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function describeManager(server: OpencodeServer, pool: SessionPool) {
  const { sessions: _sessions, ...summary } = pool.snapshot();
  const { runId, url, version, directory, stateDir, profile, snapshots } = server;
  return { managerPid: process.pid, runId, url, version, directory, stateDir, profile, snapshots, pool: summary };
}

/** Sessions of the server's own directory and of every directory that the pool works in, oldest first. */
async function listSessions(server: OpencodeServer, pool: SessionPool, signal: AbortSignal): Promise<SessionListing[]> {
  const actors = new Map(pool.snapshot().sessions.map((session) => [session.sessionId, session]));
  const directories = new Set([server.directory, ...[...actors.values()].map(({ directory }) => directory)]);
  const found = await Promise.all(
    [...directories].map(async (directory) => {
      const [sessions, { status }] = await Promise.all([
        server.listSessions({ directory, signal }),
        server.snapshot(directory, { signal }),
      ]);
      return sessions.map((info) => toListing(info, actors.get(info.id), info.id in status));
    }),
  );
  const byId = new Map(found.flat().map((listing) => [listing.id, listing]));
  return [...byId.values()].toSorted((a, b) => a.createdAt.localeCompare(b.createdAt));
}

function toListing(info: SessionInfo, actor: SessionSnapshot | undefined, busy: boolean): SessionListing {
  return {
    id: info.id,
    title: info.title,
    directory: info.directory,
    parentId: info.parentId ?? null,
    state: actor?.state ?? (busy ? 'active' : 'idle'),
    path: actor?.path ?? null,
    taskId: actor?.taskId ?? null,
    turns: actor?.turns ?? 0,
    createdAt: new Date(info.createdAtMs).toISOString(),
    updatedAt: new Date(info.updatedAtMs).toISOString(),
  };
}

async function newestUserMessage(session: DeskSession, signal: AbortSignal): Promise<string> {
  const messages = await session.messages({}, { signal });
  const newest = messages.findLast(({ info }) => info.role === 'user');
  if (newest) return newest.info.id;
  throw new OpencodeManagerError(
    'MESSAGE_UNKNOWN',
    `Session ${session.id} has no message of the user yet, so there is nothing to go back to.`,
  );
}
