import type * as Wire from '@opencode-ai/sdk/v2/types';
import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { McpServerState, OfferedChoice, OfferedChoices, ServerCalls, LeftFiles, ServerSurroundings, SessionCalls } from '../calls.ts';
import type { RequestSpec } from '../request.ts';
import { requests, type WireMcpStatus } from './requests.ts';
import { decodeHistory, decodeSession } from './shapes.ts';
import { readSnapshot, readStatus } from './snapshot.ts';
import { exitCodeFile, readExitCode, withExitCodes } from './shell-line.ts';
import { turnRequest, wireModel } from './turn-request.ts';

/** opencode lists 100 sessions when no limit is given. */
const listLimit = 100_000;

/** The calls of opencode 1.x, one request each. */
export function createCallsV1(client: HttpClient, { files }: ServerSurroundings = {}): ServerCalls {
  const list = async (spec: RequestSpec<Wire.Session[]>, options?: CallOptions) => (await client.call(spec, options)).map(decodeSession);
  return {
    offers: (directory, options) => readOffers(client, directory, options),
    async commands(directory, options) {
      const commands = await client.call(requests.commands(directory), options);
      return commands.map(({ name, model, agent }) => choiceOf(name, model, agent));
    },
    async mcpServers(directory, options) {
      const servers = await client.call(requests.mcp(directory), options);
      return Object.fromEntries(Object.entries(servers).map(([name, status]) => [name, stateOf(status)]));
    },
    toolIds: (directory, options) => client.call(requests.toolIds(directory), options),
    status: (directory, options) => readStatus(client, directory, options),
    snapshot: (directory) => readSnapshot(client, directory),
    async answerPermission({ id, directory }, answer, options) {
      await client.call(requests.replyPermission(id, directory, answer), options);
    },
    async answerQuestion({ id, directory }, answer, options) {
      const request = 'reject' in answer ? requests.rejectQuestion(id, directory) : requests.replyQuestion(id, directory, answer.answers);
      await client.call(request, options);
    },
    createSession: async (directory, wanted, options) =>
      decodeSession(await client.call(requests.createSession(directory, wanted), options)),
    listSessions: (directory, options) => list(requests.listSessions(directory, listLimit), options),
    listProjectSessions: (directory, options) => list(requests.listProjectSessions(directory, listLimit), options),
    async disposeDirectory(directory, options) {
      await client.call(requests.disposeDirectory(directory), options);
    },
    session: (id, directory) => sessionCalls(client, files, id, directory),
  };
}

async function readOffers(client: HttpClient, directory: string, options?: CallOptions): Promise<OfferedChoices> {
  const [config, { providers }, agents] = await Promise.all([
    client.call(requests.config(directory), options),
    client.call(requests.providers(directory), options),
    client.call(requests.agents(directory), options),
  ]);
  return {
    models: providers.flatMap(({ id, models }) => Object.keys(models).map((model) => `${id}/${model}`)),
    unpriced: providers.flatMap(({ id, models }) =>
      Object.entries(models).flatMap(([model, { cost }]) => (cost?.input || cost?.output ? [] : [`${id}/${model}`])),
    ),
    agents: agents.map(({ name, model }) => choiceOf(name, model && `${model.providerID}/${model.modelID}`)),
    defaultModel: config.model || undefined,
  };
}

function choiceOf(name: string, model: string | null | undefined, agent?: string | null): OfferedChoice {
  return { name, ...(model && { model }), ...(agent && { agent }) };
}

function stateOf({ status, error }: WireMcpStatus): McpServerState {
  const detail = error !== undefined && { error };
  if (status === 'connected' || status === 'disabled') return { status, ...detail };
  if (status === 'needs_auth' || status === 'needs_client_registration') return { status: 'needs_login', error: error ?? status };
  return { status: 'failed', ...detail };
}

function sessionCalls(client: HttpClient, files: LeftFiles | undefined, id: string, directory: string): SessionCalls {
  const one = async (spec: RequestSpec<Wire.Session>, options?: CallOptions) => decodeSession(await client.call(spec, options));
  return {
    async submit(turn, options) {
      const untilTurnEnds: CallOptions = turn.kind === 'prompt' ? {} : { timeoutMs: Infinity };
      const exitCodePath = files?.pathOf(exitCodeFile(turn.messageId));
      await client.call(turnRequest(id, directory, turn, exitCodePath), { ...untilTurnEnds, ...options });
    },
    async abort(options) {
      await client.call(requests.abort(id, directory), options);
    },
    info: (options) => one(requests.getSession(id, directory), options),
    async messages(limit, options) {
      const messages = await client.call(requests.messages(id, directory, limit), options);
      const complete = files ? await withExitCodes(messages, (messageId) => readExitCode(files, messageId)) : messages;
      return complete.map(decodeHistory);
    },
    message: async (messageId, options) => decodeHistory(await client.call(requests.message(id, directory, messageId), options)),
    async deleteMessage(messageId, options) {
      await client.call(requests.deleteMessage(id, directory, messageId), options);
    },
    children: async (options) => (await client.call(requests.children(id, directory), options)).map(decodeSession),
    todos: (options) => client.call(requests.todos(id, directory), options),
    diff: (messageId, options) => client.call(requests.diff(id, directory, messageId), options),
    fork: (messageId, options) => one(requests.fork(id, directory, messageId), options),
    revert: (messageId, options) => one(requests.revert(id, directory, messageId), options),
    unrevert: (options) => one(requests.unrevert(id, directory), options),
    rename: (title, options) => one(requests.updateSession(id, directory, { title }), options),
    async summarize(model, options) {
      await client.call(requests.summarize(id, directory, wireModel(model)), options);
    },
    async delete(options) {
      await client.call(requests.deleteSession(id, directory), options);
    },
  };
}
