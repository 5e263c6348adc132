import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { McpServerState, OfferedChoice, OfferedChoices, ServerCalls, SessionCalls } from '../calls.ts';
import { requests, type WireMcpStatus } from './requests.ts';
import { turnRequest, wireModel } from './turn-request.ts';

/** opencode lists 100 sessions when no limit is given. */
const listLimit = 100_000;

/** The calls of opencode 1.x, one request each. */
export function createCallsV1(client: HttpClient): ServerCalls {
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
    status: (directory, options) => client.call(requests.status(directory), options),
    permissions: (directory, options) => client.call(requests.permissions(directory), options),
    questions: (directory, options) => client.call(requests.questions(directory), options),
    async answerPermission(requestId, directory, answer, options) {
      await client.call(requests.replyPermission(requestId, directory, answer), options);
    },
    async answerQuestion(requestId, directory, answer, options) {
      const request =
        'reject' in answer ? requests.rejectQuestion(requestId, directory) : requests.replyQuestion(requestId, directory, answer.answers);
      await client.call(request, options);
    },
    createSession: (directory, wanted, options) => client.call(requests.createSession(directory, wanted), options),
    listSessions: (directory, options) => client.call(requests.listSessions(directory, listLimit), options),
    listProjectSessions: (directory, options) => client.call(requests.listProjectSessions(directory, listLimit), options),
    async disposeDirectory(directory, options) {
      await client.call(requests.disposeDirectory(directory), options);
    },
    session: (id, directory) => sessionCalls(client, id, directory),
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

function sessionCalls(client: HttpClient, id: string, directory: string): SessionCalls {
  return {
    async submit(turn, exitCodeFile, options) {
      const untilTurnEnds: CallOptions = turn.kind === 'prompt' ? {} : { timeoutMs: Infinity };
      await client.call(turnRequest(id, directory, turn, exitCodeFile), { ...untilTurnEnds, ...options });
    },
    async abort(options) {
      await client.call(requests.abort(id, directory), options);
    },
    info: (options) => client.call(requests.getSession(id, directory), options),
    messages: (limit, options) => client.call(requests.messages(id, directory, limit), options),
    message: (messageId, options) => client.call(requests.message(id, directory, messageId), options),
    async deleteMessage(messageId, options) {
      await client.call(requests.deleteMessage(id, directory, messageId), options);
    },
    children: (options) => client.call(requests.children(id, directory), options),
    todos: (options) => client.call(requests.todos(id, directory), options),
    diff: (messageId, options) => client.call(requests.diff(id, directory, messageId), options),
    fork: (messageId, options) => client.call(requests.fork(id, directory, messageId), options),
    revert: (messageId, options) => client.call(requests.revert(id, directory, messageId), options),
    unrevert: (options) => client.call(requests.unrevert(id, directory), options),
    rename: (title, options) => client.call(requests.updateSession(id, directory, { title }), options),
    async summarize(model, options) {
      await client.call(requests.summarize(id, directory, wireModel(model)), options);
    },
    async delete(options) {
      await client.call(requests.deleteSession(id, directory), options);
    },
  };
}
