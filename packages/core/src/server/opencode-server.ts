import { realDirectory, type EffectiveConfig, type ResolvedConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions, HttpClient, ServerCredentials } from '../http/index.ts';
import { refuseUntrustedWorkspace } from '../isolation/index.ts';
import { createMessageIds, requests, type SessionInfo } from '../protocol/index.ts';
import { createOperations, createSession, type SessionContext } from '../session/index.ts';
import type { CreateSessionOptions } from '../session/types.ts';
import { createCatalogueReader } from './catalogue.ts';
import type { ServerProcess } from './server-process.ts';
import { createSnapshotReader } from './snapshots.ts';
import { stopRun, type RunResources } from './stop.ts';
import type { OpencodeServer, StopReport } from './types.ts';

export interface ServerParts {
  readonly run: RunResources;
  readonly config: ResolvedConfig;
  readonly effective: EffectiveConfig;
  readonly credentials: ServerCredentials;
  readonly client: HttpClient;
  readonly process: ServerProcess;
  readonly version: string;
}

/** Deadline of one health probe: a healthy busy server has needed 2.2 s. */
const healthTimeoutMs = 5000;

/** opencode lists 100 sessions when no limit is given. */
const listLimit = 100_000;

/** Puts the handle of a running server together. */
export function createOpencodeServer({ run, config, effective, credentials, client, process: server, version }: ServerParts): OpencodeServer {
  const readSnapshot = createSnapshotReader(client);
  const readCatalogue = createCatalogueReader(client);
  const operationsContext = { client, sendInstructions: config.projectConfig === 'instructions' };
  const directories = new Set([config.directory]);
  let stopping: Promise<StopReport> | undefined;

  const sessionContext: SessionContext = {
    snapshots: effective.snapshots,
    messageIds: createMessageIds(),
    snapshot: (directory, options) => readSnapshot.read(directory, options),
    catalogue: readCatalogue,
    sessionOf: (id, directory) => createSession(sessionContext, operationsOf(id, directory)),
  };
  const operationsOf = (id: string, directory: string) => createOperations(operationsContext, id, directory);

  async function create(options: CreateSessionOptions = {}): Promise<SessionInfo> {
    const { title, permission, directory: wanted = config.directory, ...call } = options;
    const directory = await realDirectory(wanted, 'directory');
    if (config.projectConfig !== 'all') await refuseUntrustedWorkspace(directory);
    const body = { ...(title !== undefined && { title }), ...(permission && { permission }) };
    const info = await client.call(requests.createSession(directory, body), call);
    assertDirectory(info, directory);
    directories.add(directory);
    return info;
  }

  async function find(id: string, directory = config.directory, options?: CallOptions): Promise<SessionInfo> {
    if (/^ses_[0-9A-Za-z]+$/.test(id)) return client.call(requests.getSession(id, directory), options);
    // opencode answers a malformed id with an internal error.
    throw new OpencodeManagerError('NOT_FOUND', `session: ${id} is not a session id (ses_...).`, { details: { sessionId: id } });
  }

  async function abortAll(options?: CallOptions): Promise<number> {
    const busy = await Promise.all(
      [...directories].map(async (directory) => {
        const { status } = await readSnapshot.read(directory, options);
        return Object.keys(status).map((id) => sessionContext.sessionOf(id, directory));
      }),
    );
    const sessions = busy.flat();
    await Promise.all(sessions.map((session) => session.abort(options)));
    return sessions.length;
  }

  function stop(): Promise<StopReport> {
    config.signal?.removeEventListener('abort', onAbort);
    stopping ??= stopRun(run);
    return stopping;
  }
  const onAbort = () => void stop().catch(() => undefined);
  config.signal?.addEventListener('abort', onAbort, { once: true });

  return {
    url: credentials.url,
    pid: server.pid,
    version,
    directory: config.directory,
    stateDir: run.state.layout.root,
    runId: run.runId,
    profile: config.profile,
    snapshots: effective.snapshots,
    client,
    exited: server.exited,
    credentials: () => credentials,
    output: () => server.output(),
    async health(options = {}) {
      const startedAtMs = performance.now();
      const answer = await client.call(requests.health(), { timeoutMs: healthTimeoutMs, ...options });
      return { version: answer.version, latencyMs: performance.now() - startedAtMs };
    },
    async createSession(options) {
      const { id, directory } = await create(options);
      return sessionContext.sessionOf(id, directory);
    },
    listSessions: ({ directory = config.directory, ...call } = {}) => client.call(requests.listSessions(directory, listLimit), call),
    async getSession(id, { directory, ...call } = {}) {
      const info = await find(id, directory, call);
      return sessionContext.sessionOf(info.id, info.directory);
    },
    async deleteSession(id, { directory, ...call } = {}) {
      const info = await find(id, directory, call);
      await sessionContext.sessionOf(info.id, info.directory).delete(call);
    },
    abortAll,
    async createOperations(options) {
      const { id, directory } = await create(options);
      return operationsOf(id, directory);
    },
    operations: (id, directory = config.directory) => operationsOf(id, directory),
    snapshot: (directory = config.directory, options) => readSnapshot.read(directory, options),
    catalogue: (directory = config.directory, options) => readCatalogue(directory, options),
    async answerPermission(requestId, directory, answer, options) {
      await client.call(requests.replyPermission(requestId, directory, answer), options);
    },
    async answerQuestion(requestId, directory, answer, options) {
      const request = 'reject' in answer ? requests.rejectQuestion(requestId, directory) : requests.replyQuestion(requestId, directory, answer.answers);
      await client.call(request, options);
    },
    stop,
    [Symbol.asyncDispose]: () => stop().then(() => undefined),
  };
}

/** A server that ran a session elsewhere would change the wrong files. */
function assertDirectory(info: SessionInfo, directory: string): void {
  if (info.directory === directory) return;
  throw new OpencodeManagerError('DIRECTORY_MISMATCH', `directory: asked for ${directory}, and the server made the session in ${info.directory}. The session was not used.`, {
    details: { asked: directory, received: info.directory, sessionId: info.id },
  });
}
