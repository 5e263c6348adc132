import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { OpenAsk, QuestionAnswer, ServerCalls, ServerSurroundings } from '../calls.ts';
import { readCommands, readMcpServers, readOffers, readPluginFailures } from './catalogue.ts';
import { createMcpWait, mcpWaitMs } from './mcp-wait.ts';
import { wireRule } from './names.ts';
import { requests } from './requests.ts';
import { createServerMemory } from './server-memory.ts';
import { sessionCalls } from './session-calls.ts';
import { allSessions } from './session-list.ts';
import { decodeSession } from './shapes.ts';
import { readSnapshot, readStatus } from './snapshot.ts';
import { unsupportedByV2 } from './unsupported.ts';

/** The calls of opencode 2. What it keeps for a session and cannot be told by a request (whether it is fresh, where it works) is remembered here. */
export function createCallsV2(
  client: HttpClient,
  {
    output = () => '',
    untoldEnd = () => undefined,
    sessionVariable,
    mcpServers = false,
    onNote = () => undefined,
  }: ServerSurroundings = {},
): ServerCalls {
  const memory = createServerMemory();
  const mcpWait = mcpServers ? createMcpWait(client) : undefined;
  return {
    offers: (directory, options) => readOffers(client, directory, options),
    async commands(directory, options) {
      // They may give commands.
      await mcpWait?.(directory, options?.timeoutMs ?? mcpWaitMs.session, options?.signal);
      return readCommands(client, directory, options);
    },
    ...(mcpWait && { ready: (directory: string, signal?: AbortSignal) => mcpWait(directory, mcpWaitMs.session, signal) }),
    mcpServers: (directory, options) => readMcpServers(client, directory, options),
    pluginFailures: (directory, packages, options) => readPluginFailures({ client, directory, output }, packages, options),
    status: (directory, options) => readStatus(client, memory, directory, options),
    snapshot: (directory) => readSnapshot(client, memory, directory),
    async answerPermission({ id, sessionId }, answer, options) {
      const { reply: decision, ...rest } = answer;
      await client.call(requests.replyPermission(sessionId, id, { decision, ...rest }), options);
    },
    answerQuestion: (ask, answer, options) => answerForm(client, ask, answer, options),
    async createSession(directory, { title, permission }, options) {
      const { data } = await client.call(
        requests.createSession({
          // Without a title, the first turn asks the model for one.
          title: title ?? 'New session',
          location: { directory },
          ...(permission && { permissions: permission.map(wireRule) }),
        }),
        options,
      );
      const info = decodeSession(data);
      memory.keepDirectory(info.id, info.directory);
      memory.fresh.add(info.id);
      return info;
    },
    listSessions: (directory, options) => allSessions(client, { directory }, options),
    async listProjectSessions(directory, options) {
      const { project } = await client.call(requests.location(directory), options);
      return allSessions(client, project ? { project: project.id } : { directory }, options);
    },
    disposeDirectory: () => Promise.reject(unsupportedByV2('disposeDirectory()', 'dispose')),
    session: (id, directory) => sessionCalls({ client, memory, output, untoldEnd, sessionVariable, mcpWait, onNote, id, directory }),
  };
}

async function answerForm(client: HttpClient, { id, sessionId }: OpenAsk, answer: QuestionAnswer, options?: CallOptions): Promise<void> {
  if ('reject' in answer) return client.call(requests.cancelForm(sessionId, id), options);
  const { data } = await client.call(requests.form(sessionId, id), options);
  const { fields = [] } = data.form ?? data;
  const given = fields.map(({ key, type }, index) => {
    const labels = answer.answers[index] ?? [];
    return [key, type === 'multiselect' ? labels : (labels[0] ?? '')] as const;
  });
  await client.call(requests.replyForm(sessionId, id, Object.fromEntries(given)), options);
}
