import type { CallOptions, HttpClient } from '../http/index.ts';
import { requests } from '../protocol/index.ts';
import { joinRead, rememberReads } from './shared-reads.ts';
import type { UnusedConfiguration } from '../isolation/index.ts';
import type { TurnChoice } from '../turn/index.ts';
import type { Catalogue } from './types.ts';

/** Deadline of the read itself, in milliseconds: `GET /command` waits for MCP servers, 30 s for one that hangs. */
const readTimeoutMs = 60_000;

export type CatalogueOptions = CallOptions & { readonly withoutCommands?: boolean };

/**
 * Reads what a directory's configuration offers, once a directory; each caller waits for it on terms of its own.
 * @param unusedIn what of the workspace's own configuration is not used
 */
export function createCatalogueReader(
  client: HttpClient,
  unusedIn: (directory: string) => UnusedConfiguration | undefined,
): (directory: string, options?: CatalogueOptions) => Promise<Catalogue> {
  const read = rememberReads((directory) => readCatalogue(client, directory));
  const readCommands = rememberReads((directory) => client.call(requests.commands(directory), { timeoutMs: readTimeoutMs }));
  return async (directory, { withoutCommands = false, ...options } = {}) => {
    const call = { timeoutMs: readTimeoutMs, ...options };
    const [{ choices: agents, ...catalogue }, commands] = await Promise.all([
      joinRead(read(directory), `The catalogue of ${directory}`, call),
      withoutCommands ? [] : joinRead(readCommands(directory), `The commands of ${directory}`, call),
    ]);
    const unused = unusedIn(directory);
    return {
      ...catalogue,
      commands: commands.map(({ name }) => name),
      choices: { agents, commands: choicesOf(commands) },
      ...(unused && unused.files.length > 0 && { unused: { agents: unused.agents, commands: unused.commands } }),
    };
  };
}

type Read = Omit<Catalogue, 'commands' | 'choices'> & { readonly choices: Readonly<Record<string, TurnChoice>> };

async function readCatalogue(client: HttpClient, directory: string): Promise<Read> {
  const options = { timeoutMs: readTimeoutMs };
  const [config, { providers }, agents] = await Promise.all([
    client.call(requests.config(directory), options),
    client.call(requests.providers(directory), options),
    client.call(requests.agents(directory), options),
  ]);
  return {
    models: providers.flatMap(({ id, models }) => Object.keys(models).map((model) => `${id}/${model}`)),
    agents: agents.map(({ name }) => name),
    defaultModel: config.model || undefined,
    choices: choicesOf(agents.map(({ name, model }) => ({ name, model: model && `${model.providerID}/${model.modelID}` }))),
  };
}

function choicesOf(
  named: readonly { readonly name: string; readonly model?: string | null | undefined; readonly agent?: string | null }[],
): Record<string, TurnChoice> {
  const choosing = named.filter(({ model, agent }) => model || agent);
  return Object.fromEntries(choosing.map(({ name, model, agent }) => [name, { ...(model && { model }), ...(agent && { agent }) }]));
}
