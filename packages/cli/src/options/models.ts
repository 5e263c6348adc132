import { OpencodeManagerError, readJsonc, type Catalogue, type ServerConfig } from '@opencode-manager/core';
import type { NamedTask } from '../task-file/index.ts';

type Json = Readonly<Record<string, unknown>>;

/** What the command line says of models, before a server runs. */
export interface ModelChoice {
  /** `--model` */
  readonly model?: string;
  /** `--agent` */
  readonly agent?: string;
}

/**
 * Checks, before anything starts, that every task has a model, and lets the server use the providers that the command
 * line and the tasks name besides those of the configuration.
 * @throws OpencodeManagerError `MODEL_UNKNOWN` when nothing names a model
 */
export async function withModels(config: ServerConfig, tasks: readonly NamedTask[], choice: ModelChoice): Promise<ServerConfig> {
  const opencodeConfig = await readOpencodeConfig(config);
  // A configuration directory may name a model too; the running server tells (see refuseUnknownNames).
  if (config.opencodeConfigDir === undefined && choice.model === undefined && typeof opencodeConfig['model'] !== 'string') {
    const without = tasks.filter((task) => needsDefaultModel(task, opencodeConfig, choice));
    if (without.length > 0) throw noModel(without);
  }
  return allowProviders(config, opencodeConfig, [choice.model, ...tasks.map(({ model }) => model)]);
}

async function readOpencodeConfig({ opencodeConfig }: ServerConfig): Promise<Json> {
  const value = typeof opencodeConfig === 'string' ? await readJsonc(opencodeConfig, '--opencode-config') : opencodeConfig;
  return isMap(value) ? value : {};
}

function needsDefaultModel({ model, agent, command, shell }: NamedTask, config: Json, choice: ModelChoice): boolean {
  if (model !== undefined || shell !== undefined) return false;
  const commandName = command?.trim().replace(/^\//, '').split(/\s/)[0];
  return (
    ownModel(config['agent'], agent ?? choice.agent ?? 'build') === undefined && ownModel(config['command'], commandName) === undefined
  );
}

function ownModel(section: unknown, name: string | undefined): unknown {
  const entry = isMap(section) && name !== undefined ? section[name] : undefined;
  return isMap(entry) ? entry['model'] : undefined;
}

function noModel(tasks: readonly NamedTask[]): OpencodeManagerError {
  return new OpencodeManagerError(
    'MODEL_UNKNOWN',
    `No model is named, and the opencode configuration has none (first task without one: ${tasks[0]!.id}). Name one with --model provider/model, or give a configuration with --opencode-config.`,
    { details: { tasks: tasks.slice(0, 20).map(({ id }) => id) } },
  );
}

/** Providers are pinned: a model whose provider the configuration does not name would be refused by the server. */
function allowProviders(config: ServerConfig, opencodeConfig: Json, models: readonly (string | undefined)[]): ServerConfig {
  const enabled = opencodeConfig['enabled_providers'];
  const present = config.enabledProviders ?? (Array.isArray(enabled) ? (enabled as string[]) : modelsIn(opencodeConfig).map(providerOf));
  const wanted = models.filter((model) => model !== undefined).map(providerOf);
  const all = [...new Set([...present, ...wanted])];
  return all.length === new Set(present).size ? config : { ...config, enabledProviders: all };
}

/** Every `provider/model` under a key `model` or `small_model`, wherever it stands. */
function modelsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(modelsIn);
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([key, entry]) =>
    (key === 'model' || key === 'small_model') && typeof entry === 'string' ? [entry] : modelsIn(entry),
  );
}

function providerOf(model: string): string {
  return model.split('/')[0]!;
}

/**
 * Compares what the tasks name with what the running server offers, before the first prompt.
 * @throws OpencodeManagerError `MODEL_UNKNOWN`, `AGENT_UNKNOWN`, `COMMAND_UNKNOWN`
 */
export function refuseUnknownNames(catalogue: Catalogue, tasks: readonly NamedTask[], choice: ModelChoice): void {
  for (const task of tasks) {
    if (task.shell === undefined) refuseUnknownModel(catalogue, task, choice);
    const agent = task.agent ?? choice.agent;
    if (agent !== undefined && !catalogue.agents.includes(agent)) {
      throw new OpencodeManagerError(
        'AGENT_UNKNOWN',
        `Task ${task.id}: there is no agent ${JSON.stringify(agent)}. There are: ${listed(catalogue.agents)}.`,
        { details: { agent } },
      );
    }
    const command = task.command?.trim().replace(/^\//, '').split(/\s/)[0];
    if (command !== undefined && !catalogue.commands.includes(command)) {
      throw new OpencodeManagerError(
        'COMMAND_UNKNOWN',
        `Task ${task.id}: there is no command ${JSON.stringify(command)}. There are: ${listed(catalogue.commands)}.`,
        {
          details: { command },
        },
      );
    }
  }
}

function refuseUnknownModel(catalogue: Catalogue, task: NamedTask, choice: ModelChoice): void {
  const model = task.model ?? choice.model ?? catalogue.defaultModel;
  if (model === undefined || catalogue.models.includes(model)) return;
  const provider = providerOf(model);
  const siblings = catalogue.models.filter((other) => providerOf(other) === provider);
  const advice =
    siblings.length > 0
      ? `Provider ${provider} has: ${listed(siblings)}.`
      : `Provider ${provider} is not usable here: it has no credentials, or does not exist. Pass its key with --pass-env (for example --pass-env ${provider.toUpperCase().replaceAll(/\W/g, '_')}_API_KEY), or name an --auth-file.`;
  throw new OpencodeManagerError('MODEL_UNKNOWN', `Task ${task.id}: the model ${model} cannot be used. ${advice} Nothing was sent.`, {
    details: { model, models: catalogue.models.slice(0, 50) },
  });
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 12).join(', ');
  return names.length === 0 ? 'none' : names.length > 12 ? `${shown} and ${names.length - 12} more` : shown;
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
