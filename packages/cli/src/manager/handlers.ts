import type { SessionPool, SessionSnapshot } from '@opencode-manager/actors';
import { OpencodeManagerError, type OpencodeServer, type SessionInfo } from '@opencode-manager/core';
import type { EventFilter } from '@opencode-manager/events';
import { protocolMajor, type Handlers, type SessionListing } from '../manager-socket/index.ts';
import type { RunDesk } from './run-desk.ts';
import { createRunHandlers, type StartRun } from './run-handlers.ts';
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
  readonly runs: RunDesk;
  /** Begins a run for a client; absent: none can be begun. */
  readonly startRun?: StartRun | undefined;
  readonly openPage?: ((request: PageRequest) => Promise<{ readonly url: string } & AsyncDisposable>) | undefined;
}

/** What the clients of a manager's socket may ask for, over the manager's own server, pool and event stream. */
export function createHandlers({ pool, desk, runs, startRun, openPage }: HandlerParts): Handlers {
  return {
    ...createRunHandlers(runs, startRun),
    ...turnHandlers(pool, desk),
    describe: async () => describeManager(pool.server, pool),
    async credentials() {
      const { url, username, password } = pool.server.credentials();
      return { url, username, password };
    },
    sessions: (_params, { signal }) => listSessions(pool.server, pool, signal),
    async createSession({ title, directory }) {
      const session = await desk.create(title, directory);
      return { session_id: session.id, directory: session.directory };
    },
    async revert({ session_id: id, message_id: messageId, force = false }, { signal }) {
      const session = await desk.open(id);
      const target = messageId ?? (await newestUserMessage(session, signal));
      await session.revertMessage(target, { signal, force });
      return { session_id: id, message_id: target };
    },
    async unrevert({ session_id: id }, { signal }) {
      await (await desk.open(id)).unrevert({ signal });
      return { session_id: id };
    },
    async abort({ session_id: id }) {
      await desk.abort(id);
      return { session_id: id };
    },
    async deleteSession({ session_id: id }, { signal }) {
      return { session_id: id, deleted: await desk.delete(id, { signal }) };
    },
    events: {
      async stream({ session_id: sessionId, ...filter }, { signal, send }) {
        const wanted = { ...filter, ...(sessionId && { sessionId }) } as EventFilter;
        for await (const event of pool.events.streamEvents(wanted, { signal })) await send(event);
        return null;
      },
    },
    page: {
      async stream({ allow_control: allowControl, content }, { signal, send }) {
        await using page = await (openPage ?? refusePage)({ allowControl, content });
        await send({ url: page.url });
        await untilAborted(signal);
        return null;
      },
    },
  };
}

/** The turns of a session; a client that goes away ends its own. */
function turnHandlers(pool: SessionPool, desk: SessionDesk): Pick<Handlers, 'prompt' | 'promptStream' | 'exec' | 'shell'> {
  const deadline = (timeoutMs: number | undefined) => (timeoutMs === undefined ? {} : { timeoutMs });
  return {
    async prompt({ session_id: id, text, timeout_ms: timeoutMs }, { signal }) {
      return (await desk.open(id)).prompt(text, { signal, ...deadline(timeoutMs) });
    },
    promptStream: {
      async stream({ session_id: id, text, timeout_ms: timeoutMs }, { signal, send }) {
        const session = await desk.open(id);
        const result = await streamTurn(pool, session, { text, signal, ...deadline(timeoutMs) }, send);
        await send({ type: 'result', result });
        return null;
      },
    },
    async exec({ session_id: id, command, arguments: args, timeout_ms: timeoutMs }, { signal }) {
      return (await desk.open(id)).executeCommand(command, args, { signal, ...deadline(timeoutMs) });
    },
    async shell({ session_id: id, line, timeout_ms: timeoutMs }, { signal }) {
      return (await desk.open(id)).executeShell(line, { signal, ...deadline(timeoutMs) });
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
  const { state, maxSessions, queued, active, finished } = pool.snapshot();
  return {
    protocol: protocolMajor,
    pid: process.pid,
    manager_run_id: server.runId,
    url: server.url,
    opencode_version: server.version,
    directory: server.directory,
    state_dir: server.stateDir,
    profile: server.profile,
    snapshots: server.snapshots,
    pool: { state, max_sessions: maxSessions, queued, active, finished },
  };
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
  return [...byId.values()].toSorted((a, b) => a.created_at.localeCompare(b.created_at));
}

function toListing(info: SessionInfo, actor: SessionSnapshot | undefined, busy: boolean): SessionListing {
  return {
    id: info.id,
    title: info.title,
    directory: info.directory,
    parent_id: info.parentId ?? null,
    state: actor?.state ?? (busy ? 'active' : 'idle'),
    path: actor?.path ?? null,
    task_id: actor?.taskId ?? null,
    turns: actor?.turns ?? 0,
    created_at: new Date(info.createdAtMs).toISOString(),
    updated_at: new Date(info.updatedAtMs).toISOString(),
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
