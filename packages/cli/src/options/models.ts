import { assertOffered, type WantedTurn } from '@opencode-manager/actors';
import { cataloguedProviders, OpencodeManagerError, readOpencodeConfig, type Catalogue, type ServerConfig } from '@opencode-manager/core';
import { didYouMean } from '@opencode-manager/core/errors';
import type { NamedTask } from '../task-file/index.ts';

type Json = Readonly<Record<string, unknown>>;

/** What the command line says of models, before a server runs. */
export interface ModelChoice {
  /** `--model` */
  readonly model?: string;
  /** `--agent` */
  readonly agent?: string;
  /** Of `--on-quota`. */
  readonly fallback?: string;
}

/**
 * Checks, before anything starts, that every task has a model, and lets the server use the providers that the command
 * line and the tasks name besides those of the configuration.
 * @throws OpencodeManagerError `MODEL_UNKNOWN` when nothing names a model
 */
export async function withModels(config: ServerConfig, tasks: readonly NamedTask[], choice: ModelChoice): Promise<ServerConfig> {
  const opencodeConfig = await readOpencodeConfig(config);
  // A configuration directory's markdown files may name a model too; the running server tells (see refuseUnknownNames).
  if (config.opencodeConfigDir === undefined && choice.model === undefined && !isText(opencodeConfig['model'])) {
    const without = tasks.filter((task) => needsDefaultModel(task, opencodeConfig, choice));
    if (without.length > 0) throw noModel(without, opencodeConfig['model']);
  }
  return allowProviders(config, opencodeConfig, [choice.model, choice.fallback, ...tasks.map(({ model }) => model)]);
}

function needsDefaultModel({ model, agent, command, shell }: NamedTask, config: Json, choice: ModelChoice): boolean {
  if (model !== undefined || shell !== undefined) return false;
  const agentName = agent ?? choice.agent ?? (isText(config['default_agent']) ? config['default_agent'] : 'build');
  const sections = [config['agent'], config['mode']];
  return !sections.some((section) => isText(ownModel(section, agentName))) && !isText(ownModel(config['command'], commandName(command)));
}

/** The name in a command line such as `/review src`. */
export function commandName(command: string | undefined): string | undefined {
  return command?.trim().replace(/^\//, '').split(/\s/)[0];
}

/** A variable that is not set leaves an empty text. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function ownModel(section: unknown, name: string | undefined): unknown {
  const entry = isMap(section) && name !== undefined ? section[name] : undefined;
  return isMap(entry) ? entry['model'] : undefined;
}

function noModel(tasks: readonly NamedTask[], configured: unknown): OpencodeManagerError {
  const has = configured === '' ? 'has an empty one: is the variable that it names set?' : 'has none';
  return new OpencodeManagerError(
    'MODEL_UNKNOWN',
    `No model is named, and the opencode configuration ${has} (first task without one: ${tasks[0]!.id}). Name one with --model provider/model, or give a configuration with --opencode-config.`,
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
    (key === 'model' || key === 'small_model') && isText(entry) ? [entry] : modelsIn(entry),
  );
}

function providerOf(model: string): string {
  return model.split('/')[0]!;
}

/**
 * Compares what the tasks name with what the running server offers, before the first prompt. The pool refuses each such task, too:
 * here nothing is begun.
 * @throws OpencodeManagerError `MODEL_UNKNOWN`, `AGENT_UNKNOWN`, `COMMAND_UNKNOWN`
 */
export function refuseUnknownNames(catalogue: Catalogue, tasks: readonly NamedTask[], choice: ModelChoice): void {
  for (const task of tasks) {
    try {
      assertOffered(catalogue, wantedBy(task, choice));
    } catch (error) {
      throw toldOf(task, error as OpencodeManagerError);
    }
  }
}

function wantedBy({ model, agent, command, shell }: NamedTask, choice: ModelChoice): WantedTurn {
  const names = { model: model ?? choice.model, agent: agent ?? choice.agent, command: commandName(command) };
  const kind = shell !== undefined ? 'shell' : command !== undefined ? 'command' : 'prompt';
  return {
    kind,
    ...(names.model !== undefined && { model: names.model }),
    ...(names.agent !== undefined && { agent: names.agent }),
    ...(names.command !== undefined && { command: names.command }),
  };
}

/** Says which task it is, and how the command line gives a provider what it lacks. */
function toldOf({ id }: NamedTask, { code, message, details }: OpencodeManagerError): OpencodeManagerError {
  const model = typeof details['model'] === 'string' ? details['model'] : undefined;
  const provider = model === undefined || details['providerKnown'] === true ? undefined : providerOf(model);
  const advice = provider === undefined ? '' : ` ${providerAdvice(provider)}`;
  return new OpencodeManagerError(code, `Task ${id}: ${message}${advice}`, { details });
}

function providerAdvice(provider: string): string {
  if (!cataloguedProviders.ids.includes(provider))
    return `${didYouMean(provider, cataloguedProviders.ids)}opencode knows no provider ${provider}; one of your own stands in the opencode configuration, under provider.${provider}.`;
  const key = `${provider.toUpperCase().replaceAll(/\W/g, '_')}_API_KEY`;
  return `Pass its key with --pass-env (for example --pass-env ${key}), or name an --auth-file.`;
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
