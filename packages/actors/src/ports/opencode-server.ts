import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  explainFullDisk,
  launchServer,
  OpencodeManagerError,
  realWorkspace,
  toManagerError,
  type OpencodeServer,
  type PermissionAnswer,
  type SessionOperations,
} from '@opencode-manager/core';
import { askFacts, historyFacts, statusFacts } from '@opencode-manager/core/protocol';
import { systemClock } from './clock.ts';
import type { AskAnswer, LaunchPort, ServerPort, SessionPort } from './server.ts';

/** A running opencode server, as hosts see it. */
export function serverPort(server: OpencodeServer): ServerPort {
  return {
    handle: server,
    pid: server.pid,
    url: server.url,
    version: server.version,
    protocol: server.protocol,
    directory: server.directory,
    snapshots: server.snapshots,
    takesPromptsBack: server.capabilities.takesPromptsBack,
    exited: server.exited,
    output: () => server.output(),
    onUntoldEnd: (listener) => server.onUntoldEnd(listener),
    health: async (options) => void (await server.health(options)),
    residentBytes: () => server.residentBytes(),
    createSession: async (options) => sessionPort(server, await server.createOperations(options)),
    session: (id, directory) => sessionPort(server, server.operations(id, directory)),
    async read(directory, options) {
      // Finer than the times of the read, all of whose parts begin after this call.
      const calledAtMs = systemClock.now();
      const { sentAtMs, status, permissions, questions, permissionsUnreadable } = await server.snapshot(directory, options);
      const asks = [...permissions, ...questions].map((request) => askFacts(request, directory));
      const asksSinceMs = Math.min(sentAtMs.permissions, sentAtMs.questions);
      return {
        status: { value: statusFacts(status), sinceMs: Math.max(calledAtMs, sentAtMs.status) },
        asks: permissionsUnreadable === undefined ? { value: asks, sinceMs: Math.max(calledAtMs, asksSinceMs) } : null,
      };
    },
    realDirectory: realWorkspace,
    checkDirectory: (directory) => server.checkDirectory(directory),
    fileUrl: (directory, path) => pathToFileURL(resolve(directory, path)).href,
    catalogue: (directory, options) => server.catalogue(directory, options),
    disposeDirectory: (directory) => (server.capabilities.dispose ? server.disposeDirectory(directory) : isQuiet(server, directory)),
    setToolVariables: (directory, variables) => server.setToolVariables(directory, variables),
    async answer(ask, answer, options) {
      if (ask.kind === 'permission') await server.answerPermission(ask, permissionAnswer(answer), options);
      else await server.answerQuestion(ask, answer.type === 'answer' ? { answers: answer.answers } : { reject: true }, options);
    },
    endTools: (sessionId) => server.endTools(sessionId),
    explain: async (error) => toManagerError(await explainFullDisk(OpencodeManagerError.from(error), server.stateDir)).toJSON(),
    redact: (value) => server.redactor.counted(value),
    relaunch: async () => serverPort(await server.relaunch()),
    startSuccessor: async () => serverPort(await server.startSuccessor()),
    retire: () => server.retire(),
    stop: async () => void (await server.stop()),
  };
}

/** A server that cannot forget a directory keeps it; what it did there is over when none of its sessions works. */
async function isQuiet(server: OpencodeServer, directory: string): Promise<boolean> {
  const { status } = await server.snapshot(directory);
  return Object.keys(status).length === 0;
}

/** Starts an opencode server. */
export const launchPort: LaunchPort = async (config) => serverPort(await launchServer(config));

function sessionPort(server: OpencodeServer, operations: SessionOperations): SessionPort {
  const { id, directory } = operations;
  return {
    id,
    directory,
    submit: (request, options) => operations.submit(request, options),
    abort: () => operations.abort(),
    history: async (options) => historyFacts(await operations.messages({}, options)),
    children: (options) => operations.children(options),
    async fork(messageId, options) {
      const info = await operations.fork(messageId, options);
      return sessionPort(server, server.operations(info.id, info.directory));
    },
    async revert(messageId, options) {
      const session = await server.getSession(id, { directory, ...options });
      await session.revertMessage(messageId, options);
    },
    async settle(options) {
      const session = await server.getSession(id, { directory, ...options });
      await session.abort(options);
    },
    delete: (options) => server.deleteSession(id, { directory, ...options }),
    exists: (options) =>
      operations.info(options).then(
        () => true,
        () => false,
      ),
  };
}

/** `once` always: opencode would apply `always` to every session of the server. */
function permissionAnswer(answer: AskAnswer): PermissionAnswer {
  if (answer.type === 'allow') return { reply: 'once' };
  const message = answer.type === 'deny' ? answer.message : undefined;
  return { reply: 'reject', ...(message !== undefined && { message }) };
}
