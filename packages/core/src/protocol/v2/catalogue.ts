import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { McpServerState, OfferedChoice, OfferedChoices } from '../calls.ts';
import { loadedConfiguration, modelText } from './configuration/loaded.ts';
import { requests } from './requests.ts';
import type { WireMcpServer, WirePlugin } from './wire.ts';

/** How often it is looked whether MCP servers have come up, in milliseconds. */
const mcpPollMs = 100;

export async function readOffers(client: HttpClient, directory: string, options?: CallOptions): Promise<OfferedChoices> {
  const [documents, models, agents] = await Promise.all([
    client.call(requests.config(directory), options),
    client.call(requests.models(directory), options),
    client.call(requests.agents(directory), options),
  ]);
  const named = models.data.map(({ id, providerID, cost }) => ({ name: `${providerID}/${id}`, cost }));
  return {
    models: named.map(({ name }) => name),
    unpriced: named.flatMap(({ name, cost = [] }) => (cost.some(({ input, output }) => input || output) ? [] : [name])),
    agents: agents.data.map(({ id, model }) => choiceOf(id, model)),
    defaultModel: loadedConfiguration(documents)['model'] as string | undefined,
  };
}

/** What a command chooses for itself stands in the configuration alone. */
export async function readCommands(client: HttpClient, directory: string, options?: CallOptions): Promise<readonly OfferedChoice[]> {
  const [documents, commands] = await Promise.all([
    client.call(requests.config(directory), options),
    client.call(requests.commands(directory), options),
  ]);
  const configured = Object.assign({}, ...documents.map((one) => (one.type === 'document' ? one.info['commands'] : {}))) as Record<
    string,
    { readonly agent?: string; readonly model?: unknown } | undefined
  >;
  return commands.data.map(({ name }) => choiceOf(name, configured[name]?.model, configured[name]?.agent));
}

function choiceOf(name: string, given: unknown, agent?: string): OfferedChoice {
  const model = modelText(given);
  return { name, ...(model !== undefined && { model }), ...(agent !== undefined && { agent }) };
}

/** opencode 2 answers at once: a server that has not come up yet is asked about again. */
export async function readMcpServers(
  client: HttpClient,
  directory: string,
  options: CallOptions = {},
): Promise<Readonly<Record<string, McpServerState>>> {
  const { timeoutMs = 90_000 } = options;
  const untilMs = Date.now() + timeoutMs;
  for (;;) {
    const { data } = await client.call(requests.mcp(directory), options);
    const isPending = data.some(({ status }) => status?.status === 'pending');
    if (!isPending || Date.now() >= untilMs) return Object.fromEntries(data.map((server) => [server.name, stateOf(server)]));
    await new Promise((resolve) => setTimeout(resolve, mcpPollMs));
  }
}

function stateOf({ status = {} }: WireMcpServer): McpServerState {
  const { status: name = 'failed', error } = status;
  const detail = error !== undefined && { error };
  if (name === 'connected' || name === 'disabled') return { status: name, ...detail };
  if (name.startsWith('needs_')) return { status: 'needs_login', error: error ?? name };
  return { status: 'failed', ...detail };
}

/** What opencode says of plugins that it could not load; sentences that name them. */
export async function readPluginFailures(client: HttpClient, directory: string, options?: CallOptions): Promise<readonly string[]> {
  const { data } = await client.call(requests.plugins(directory), options);
  return data.flatMap(({ id, source, state }: WirePlugin) => {
    if (state?.status !== 'failed') return [];
    const name = source?.path ?? source?.package ?? id ?? 'a plugin';
    return [`Plugin ${name}: ${state.error ?? 'opencode could not load it'}`];
  });
}
