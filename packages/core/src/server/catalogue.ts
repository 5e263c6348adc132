import type { CallOptions, HttpClient } from '../http/index.ts';
import { requests } from '../protocol/index.ts';
import type { Catalogue } from './types.ts';

/** Reads what a directory's configuration offers, once a directory. A failed read is not remembered. */
export function createCatalogueReader(client: HttpClient): (directory: string, options?: CallOptions) => Promise<Catalogue> {
  const known = new Map<string, Promise<Catalogue>>();
  return (directory, options) => {
    const cached = known.get(directory);
    if (cached) return cached;
    const read = readCatalogue(client, directory, options);
    known.set(directory, read);
    read.catch(() => known.delete(directory));
    return read;
  };
}

async function readCatalogue(client: HttpClient, directory: string, options?: CallOptions): Promise<Catalogue> {
  const [config, { providers }, agents, commands] = await Promise.all([
    client.call(requests.config(directory), options),
    client.call(requests.providers(directory), options),
    client.call(requests.agents(directory), options),
    client.call(requests.commands(directory), options),
  ]);
  return {
    models: providers.flatMap(({ id, models }) => Object.keys(models).map((model) => `${id}/${model}`)),
    agents: agents.map(({ name }) => name),
    commands: commands.map(({ name }) => name),
    defaultModel: config.model,
  };
}
