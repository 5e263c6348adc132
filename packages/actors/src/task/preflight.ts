import type { Catalogue } from '@opencode-manager/core';
import { byNearness, didYouMean, OpencodeManagerError, type ErrorCode } from '@opencode-manager/core/errors';
import { chosenFor } from '@opencode-manager/core/protocol';

/** What a turn names, or leaves to the configuration. */
export interface WantedTurn {
  readonly kind: 'prompt' | 'command' | 'shell';
  readonly model?: string;
  readonly agent?: string;
  /** Name of the command. */
  readonly command?: string;
}

/**
 * Compares what a turn needs with what a server offers, before anything is sent: opencode accepts a turn with an unknown model and
 * fails it later, and one for which no provider can be used stays without an answer.
 * @throws OpencodeManagerError `MODEL_UNKNOWN`, `AGENT_UNKNOWN`, `COMMAND_UNKNOWN`
 * @example
 * assertOffered(await server.catalogue(), { kind: 'prompt', model: 'anthropic/claude-sonnet-5' })
 * @public
 */
export function assertOffered({ models, agents, commands, defaultModel, unused, choices }: Catalogue, wanted: WantedTurn): void {
  const { kind, agent, command } = wanted;
  if (kind !== 'shell') {
    if (models.length === 0 && wanted.model === undefined) throw noProvider();
    // An agent and a command may have a model of their own.
    const model = wanted.model ?? (agent === undefined && kind === 'prompt' ? defaultModel : undefined);
    if (model !== undefined && !models.includes(model)) throw unknownModel(model, models);
  }
  if (agent !== undefined && !agents.includes(agent)) throw unknown('AGENT_UNKNOWN', 'agent', agent, agents, unused?.agents);
  if (command !== undefined && !commands.includes(command))
    throw unknown('COMMAND_UNKNOWN', 'command', command, commands, unused?.commands);
  if (kind === 'shell') return;
  const chosen = chosenFor(choices, wanted);
  if (chosen.agent && !agents.includes(chosen.agent.value))
    throw unknown('AGENT_UNKNOWN', 'agent', chosen.agent.value, agents, unused?.agents, chosen.agent.by);
  if (chosen.model && !models.includes(chosen.model.value)) throw unknownModel(chosen.model.value, models, chosen.model.by);
}

function noProvider(): OpencodeManagerError {
  return new OpencodeManagerError(
    'MODEL_UNKNOWN',
    'No provider can be used here, so no model answers: the configuration names none, or none has credentials. Nothing was sent.',
    { details: { field: 'model', models: [] } },
  );
}

function unknownModel(model: string, models: readonly string[], by?: string): OpencodeManagerError {
  const provider = model.split('/')[0]!;
  const siblings = models.filter((other) => other.startsWith(`${provider}/`));
  const advice =
    siblings.length > 0
      ? `${didYouMean(model, siblings)}Provider ${provider} has: ${listed(byNearness(model, siblings))}.`
      : `${didYouMean(model, models)}Provider ${provider} is not usable here: it has no credentials, or does not exist.`;
  return new OpencodeManagerError('MODEL_UNKNOWN', `${named('model', by)}: ${model} cannot be used. ${advice} Nothing was sent.`, {
    details: { field: 'model', model, models: models.slice(0, 50), providerKnown: siblings.length > 0 },
  });
}

function unknown(
  code: ErrorCode,
  field: string,
  value: string,
  known: readonly string[],
  unused: Readonly<Record<string, string>> = {},
  by?: string,
): OpencodeManagerError {
  const file = unused[value];
  const hint =
    file === undefined ? '' : ` ${file} is not used: set projectConfig to 'all' (--project-config all) when you trust this workspace.`;
  const near = `${didYouMean(value, known)}Known: ${listed(byNearness(value, known))}.`;
  return new OpencodeManagerError(code, `${named(field, by)}: ${value} is unknown. ${near}${hint} Nothing was sent.`, {
    details: { field, value, [field]: value },
  });
}

/** With who chooses it, where that is not the caller. */
function named(field: string, by: string | undefined): string {
  return by === undefined ? field : `${field} of ${by}`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 20).join(', ') || 'none';
  return names.length > 20 ? `${shown}, and ${names.length - 20} more` : shown;
}
