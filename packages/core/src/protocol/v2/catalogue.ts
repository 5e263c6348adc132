import { OpencodeManagerError } from '../../errors/error.ts';
import type { CallOptions, HttpClient } from '../../http/index.ts';
import type { McpServerState, OfferedChoice, OfferedChoices } from '../calls.ts';
import { loadedConfiguration, modelText } from './configuration/loaded.ts';
import { requests } from './requests.ts';
import { causeOfPlugin, pluginsByFile } from './server-log.ts';
import type { Enveloped, WireMcpServer, WirePlugin } from './wire.ts';

/** How often it is looked whether MCP servers have come up, in milliseconds. */
const mcpPollMs = 100;

/** How often it is looked whether a directory is ready, and how long at most unless the caller says, in milliseconds: packages may be installed. */
const readiness = { pollMs: 50, longestMs: 120_000 } as const;

/**
 * opencode builds what a directory offers at its first use, and answers meanwhile as if that were next to nothing. Until it is ready, no plugin is listed,
 * of opencode's own neither.
 */
export function isReady({ data }: Enveloped<readonly WirePlugin[]>): boolean {
  return data.length > 0;
}

/**
 * Waits until a directory is ready. Plugins that are installed as packages join the others when they are loaded or have failed.
 * @param packages that have to be in the list
 * @throws `REQUEST_TIMEOUT`
 */
async function readyDirectory(
  client: HttpClient,
  directory: string,
  options: CallOptions = {},
  packages: readonly string[] = [],
): Promise<readonly WirePlugin[]> {
  const { timeoutMs = readiness.longestMs } = options;
  for (const untilMs = Date.now() + timeoutMs; Date.now() < untilMs;) {
    const plugins = await client.call(requests.plugins(directory), options);
    const { data } = plugins;
    const listed = new Set(data.map(({ source }) => source?.target));
    if (isReady(plugins) && packages.every((name) => listed.has(name))) return data;
    await new Promise((resolve) => setTimeout(resolve, readiness.pollMs));
  }
  const message = `opencode was not ready in ${directory} within ${timeoutMs} ms: a plugin or a package there takes long, or hangs.`;
  throw new OpencodeManagerError('REQUEST_TIMEOUT', message, { details: { directory, timeoutMs } });
}

export async function readOffers(client: HttpClient, directory: string, options?: CallOptions): Promise<OfferedChoices> {
  await readyDirectory(client, directory, options);
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
  await readyDirectory(client, directory, options);
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
  await readyDirectory(client, directory, options);
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

const notByFile =
  'opencode 2 takes a plugin that a configuration names from a directory, not from a file. Put the file into plugins/ of a configuration directory (opencodeConfigDir), or name a directory with a package.json.';

/** What opencode says of plugins that it could not load; sentences that name them. Why it could not stands in its log. */
export async function readPluginFailures(
  { client, directory, output }: { readonly client: HttpClient; readonly directory: string; readonly output: () => string },
  packages: readonly string[],
  options?: CallOptions,
): Promise<readonly string[]> {
  const plugins = await readyDirectory(client, directory, options, packages);
  const failed = plugins.flatMap(({ id, source, state }) => {
    if (state?.status !== 'failed') return [];
    const { target, path } = source ?? {};
    const name = target ?? path ?? id ?? 'without a name';
    const cause = state.ref === undefined ? undefined : causeOfPlugin(output(), state.ref);
    return [`Plugin ${name}: ${cause ?? state.error ?? 'opencode could not load it'}`];
  });
  const byFile = pluginsByFile(output()).map((path) => `Plugin ${path}: ${notByFile}`);
  return [...failed, ...byFile];
}
