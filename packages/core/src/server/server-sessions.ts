import { join } from 'node:path';
import type { ResolvedConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import type { CallOptions, HttpClient, ServerCredentials } from '../http/index.ts';
import { instructionsDirectory, keepToolVariables, type Workspaces } from '../isolation/index.ts';
import { sessionMarkerVariable } from '../process/table.ts';
import { parsePermissionPolicy } from '../policy/schema.ts';
import { createMessageIds, type EffectiveConfig, type Protocol, type ServerCalls, type SessionInfo } from '../protocol/index.ts';
import { withCleanErrors } from '../secrets/index.ts';
import { createLeftFiles, createInstructionsStore, createOperations, createSession, type SessionContext } from '../session/index.ts';
import type { CreateSessionOptions, SessionOperations } from '../session/types.ts';
import { createCatalogueReader } from './catalogue.ts';
import { watchSession } from './session-errors.ts';
import type { ServerProcess } from './server-process.ts';
import { joinRead, rememberReads } from './shared-reads.ts';
import { createSnapshotReader } from './snapshots.ts';
import type { OpencodeServer } from './types.ts';

/** The part of a server's handle that deals with sessions. */
export type ServerSessions = Pick<
  OpencodeServer,
  | 'createSession'
  | 'listSessions'
  | 'getSession'
  | 'deleteSession'
  | 'abortAll'
  | 'createOperations'
  | 'operations'
  | 'snapshot'
  | 'catalogue'
  | 'checkDirectory'
  | 'checkWorkspace'
  | 'disposeDirectory'
  | 'setToolVariables'
  | 'answerPermission'
  | 'answerQuestion'
  | 'notes'
>;

export interface SessionsParts {
  readonly client: HttpClient;
  readonly protocol: Protocol;
  readonly credentials: ServerCredentials;
  readonly config: ResolvedConfig;
  readonly effective: EffectiveConfig;
  readonly stateDir: string;
  readonly workspaces: Workspaces;
  readonly server: Pick<ServerProcess, 'output' | 'untoldEnds'>;
}

export function createServerSessions(parts: SessionsParts): ServerSessions {
  const { config, stateDir, workspaces } = parts;
  const notes = new Set<string>();
  const calls = parts.protocol.calls(parts.client, {
    files: createLeftFiles(join(parts.stateDir, 'run')),
    output: parts.server.output,
    untoldEnd: (sessionId) => parts.server.untoldEnds.of(sessionId),
    sessionVariable: sessionMarkerVariable,
    // A trusted project's configuration may name some that are not known here.
    mcpServers: config.projectConfig === 'all' || Object.keys(parts.effective.inOlderForm['mcp'] ?? {}).length > 0,
    onNote: (note) => void notes.add(note),
  });
  const context = createContext(parts, calls);
  const directories = new Set([config.directory]);
  const create = async (options?: CreateSessionOptions) => {
    const info = await requestSession(parts, calls, options);
    directories.add(info.directory);
    return info;
  };
  return {
    async createSession(options) {
      if (options?.permissions !== undefined) parsePermissionPolicy(options.permissions, 'permissions');
      const { id, directory } = await create(options);
      return context.sessionOf(id, directory, options?.permissions);
    },
    async createOperations(options) {
      const { id, directory } = await create(options);
      await calls.ready?.(directory, options?.signal);
      return context.operationsOf(id, directory);
    },
    notes: () => [...notes],
    operations: (id, directory = config.directory) => context.namedOperationsOf(id, directory),
    snapshot: (directory = config.directory, options) => context.snapshot(directory, options),
    catalogue: (directory = config.directory, options) => context.catalogue(directory, options),
    checkDirectory: async (directory) => (await workspaces.check(directory)).directory,
    checkWorkspace: (directory, options) => workspaces.check(directory, options),
    ...lookUps(parts.protocol, calls, config, context),
    async abortAll(options) {
      const reads = [...directories].map(async (directory) => {
        const { status } = await context.snapshot(directory, options);
        return Object.keys(status).map((id) => context.sessionOf(id, directory));
      });
      const busy = (await Promise.all(reads)).flat();
      await Promise.all(busy.map((session) => session.abort(options)));
      return busy.length;
    },
    setToolVariables: (directory, variables) => keepToolVariables(stateDir, directory, variables),
    async disposeDirectory(directory, options) {
      if (!parts.protocol.capabilities.dispose) return false;
      const busy = await calls.status(directory, options);
      if (Object.keys(busy).length > 0) return false;
      await calls.disposeDirectory(directory, options);
      return true;
    },
    ...answers(calls, config),
  };
}

interface ServerContext extends SessionContext {
  /** Operations of a session in the directory that a caller names. */
  namedOperationsOf(id: string, directory: string): SessionOperations;
}

/** What all sessions of a server share. */
function createContext(
  { client, protocol, credentials, config, effective, stateDir, workspaces }: SessionsParts,
  calls: ServerCalls,
): ServerContext {
  const snapshots = createSnapshotReader(calls);
  const readCatalogue = createCatalogueReader(calls, (directory) => workspaces.unused(directory));
  const keepInstructions = createInstructionsStore(instructionsDirectory(stateDir));
  const operationsContext = {
    protocol,
    calls,
    beginTurn: async (directory: string) => keepInstructions(directory, await workspaces.beginTurn(directory, effective.instructions)),
  };
  const operationsOf = (id: string, directory: string) => createOperations(operationsContext, id, directory);
  const context: ServerContext = {
    namedOperationsOf(id, directory) {
      let isOwn = false;
      const beginTurn = async () => {
        if (!isOwn) await assertOwnDirectory(calls, config, { id, directory });
        isOwn = true;
        await operationsContext.beginTurn(directory);
      };
      return createOperations({ ...operationsContext, beginTurn }, id, directory);
    },
    snapshots: effective.snapshots,
    ready: async (directory, signal) => calls.ready?.(directory, signal),
    stateDir,
    messageIds: createMessageIds(),
    snapshot: (directory, options) => snapshots.read(directory, options),
    // What a directory offers differs from another only where its own configuration counts.
    catalogue: (directory, options) => readCatalogue(config.projectConfig === 'all' ? directory : config.directory, options),
    operationsOf,
    watchSession: (session, signal) => watchSession({ credentials, client, protocol: protocol.stream }, session, signal),
    parentOf: createParentReader(calls),
    projectSessions: (directory, options) => calls.listProjectSessions(directory, options),
    worktreeOf: async (directory) => {
      const { root, insideGit } = await workspaces.project(directory);
      return insideGit ? root : undefined;
    },
    ...answers(calls, config),
    sessionOf: (id, directory, permissions) =>
      withCleanErrors(createSession(context, operationsOf(id, directory), permissions), config.redactor),
  };
  return context;
}

/**
 * opencode runs a turn where the session was made, whatever directory comes with the request: trust in another one says nothing.
 * @throws `DIRECTORY_MISMATCH`
 */
async function assertOwnDirectory(
  calls: ServerCalls,
  config: ResolvedConfig,
  { id, directory }: { readonly id: string; readonly directory: string },
): Promise<void> {
  // Asked in the directory of the server: the other one is not trusted yet.
  const info = await calls.session(id, config.directory).info();
  if (info.directory === directory) return;
  throw new OpencodeManagerError(
    'DIRECTORY_MISMATCH',
    `directory: session ${id} works in ${info.directory}, not in ${directory}. Name its own directory. Nothing was sent.`,
    { details: { asked: directory, received: info.directory, sessionId: id } },
  );
}

/** A session's parent never changes, so it is asked for once. */
function createParentReader(calls: ServerCalls): SessionContext['parentOf'] {
  const read = rememberReads(async (key) => {
    const [id, directory] = JSON.parse(key) as [string, string];
    return (await calls.session(id, directory).info()).parentId;
  });
  return (id, directory, options) => joinRead(read(JSON.stringify([id, directory])), `The parent of session ${id}`, options);
}

function answers(calls: ServerCalls, config: ResolvedConfig): Pick<ServerSessions, 'answerPermission' | 'answerQuestion'> {
  return {
    answerPermission: ({ id, sessionId, directory = config.directory }, answer, options) =>
      calls.answerPermission({ id, sessionId, directory }, answer, options),
    answerQuestion: ({ id, sessionId, directory = config.directory }, answer, options) =>
      calls.answerQuestion({ id, sessionId, directory }, answer, options),
  };
}

function lookUps(
  protocol: Protocol,
  calls: ServerCalls,
  config: ResolvedConfig,
  context: SessionContext,
): Pick<ServerSessions, 'listSessions' | 'getSession' | 'deleteSession'> {
  async function find(id: string, directory: string | undefined, options: CallOptions | undefined): Promise<SessionInfo> {
    if (protocol.ids.isSession(id)) return calls.session(id, directory ?? config.directory).info(options);
    // opencode answers a malformed id with an internal error.
    throw new OpencodeManagerError('NOT_FOUND', `session: ${id} is not a session id (ses_...).`, { details: { sessionId: id } });
  }
  return {
    listSessions: ({ directory = config.directory, ...call } = {}) => calls.listSessions(directory, call),
    async getSession(id, { directory, permissions, ...call } = {}) {
      if (permissions !== undefined) parsePermissionPolicy(permissions, 'permissions');
      const info = await find(id, directory, call);
      return context.sessionOf(info.id, info.directory, permissions);
    },
    async deleteSession(id, { directory, ...call } = {}) {
      const info = await find(id, directory, call);
      await context.sessionOf(info.id, info.directory).delete(call);
    },
  };
}

async function requestSession(
  { protocol, config, workspaces }: SessionsParts,
  calls: ServerCalls,
  options: CreateSessionOptions = {},
): Promise<SessionInfo> {
  const { title, permission, permissions: _policy, directory: wanted = config.directory, ...call } = options;
  const { directory } = await workspaces.check(wanted);
  const rules = permission && protocol.configuration.sessionRules(permission);
  const wishes = { ...(title !== undefined && { title }), ...(rules && { permission: rules }) };
  const info = await calls.createSession(directory, wishes, call);
  if (info.directory === directory) return info;
  // A server that ran a session elsewhere would change the wrong files.
  throw new OpencodeManagerError(
    'DIRECTORY_MISMATCH',
    `directory: asked for ${directory}, and the server made the session in ${info.directory}. The session was not used.`,
    { details: { asked: directory, received: info.directory, sessionId: info.id } },
  );
}
