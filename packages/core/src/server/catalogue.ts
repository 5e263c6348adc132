import type { CallOptions } from '../http/index.ts';
import type { OfferedChoice, ServerCalls } from '../protocol/index.ts';
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
  calls: ServerCalls,
  unusedIn: (directory: string) => UnusedConfiguration | undefined,
): (directory: string, options?: CatalogueOptions) => Promise<Catalogue> {
  const readOffers = rememberReads(async (directory) => {
    const { models, unpriced, agents, defaultModel } = await calls.offers(directory, { timeoutMs: readTimeoutMs });
    return { models, unpriced, agents: agents.map(({ name }) => name), defaultModel, choices: choicesOf(agents) };
  });
  const readCommands = rememberReads((directory) => calls.commands(directory, { timeoutMs: readTimeoutMs }));
  return async (directory, { withoutCommands = false, ...options } = {}) => {
    const call = { timeoutMs: readTimeoutMs, ...options };
    const [{ choices: agents, ...offers }, commands] = await Promise.all([
      joinRead(readOffers(directory), `The catalogue of ${directory}`, call),
      withoutCommands ? [] : joinRead(readCommands(directory), `The commands of ${directory}`, call),
    ]);
    const unused = unusedIn(directory);
    return {
      ...offers,
      commands: commands.map(({ name }) => name),
      choices: { agents, commands: choicesOf(commands) },
      ...(unused && unused.files.length > 0 && { unused: { agents: unused.agents, commands: unused.commands } }),
    };
  };
}

function choicesOf(offered: readonly OfferedChoice[]): Record<string, TurnChoice> {
  const choosing = offered.filter(({ model, agent }) => model !== undefined || agent !== undefined);
  return Object.fromEntries(choosing.map(({ name, ...choice }) => [name, choice]));
}
