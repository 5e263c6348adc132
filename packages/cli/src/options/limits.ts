import { readFile } from 'node:fs/promises';
import type { SessionPoolOptions, TaskLimits } from '@opencode-manager/actors';
import { OpencodeManagerError, type Catalogue } from '@opencode-manager/core';
import { chosenFor } from '@opencode-manager/core/protocol';
import type { RunSettings } from '@opencode-manager/runs';
import type { LimitFlags } from '../flags.ts';
import { parseDuration, type NamedTask } from '../task-file/index.ts';
import { commandName } from './models.ts';
import { parseCount } from './numbers.ts';

type RunLimits = RunSettings['limits'];

export const mostTokens = 1_000_000_000_000;

/** What the run may take as a whole. @throws OpencodeManagerError `USAGE` */
export function runLimits({ maxTime, maxTokens, maxUsd }: LimitFlags): RunLimits {
  return {
    timeoutMs: maxTime === undefined ? null : parseDuration(maxTime, '--max-time'),
    tokens: maxTokens === undefined ? null : parseCount(maxTokens, '--max-tokens', { min: 1, max: mostTokens }),
    usd: maxUsd === undefined ? null : parseAmount(maxUsd, '--max-usd'),
  };
}

/** What each task may take that does not say so itself. @throws OpencodeManagerError `USAGE` */
export function taskLimits({ taskWorking, taskStall, taskSteps, taskTokens, taskUsd }: LimitFlags): TaskLimits {
  return {
    ...(taskWorking !== undefined && { workingMs: parseDuration(taskWorking, '--task-working') }),
    ...(taskStall !== undefined && { stallMs: parseDuration(taskStall, '--task-stall') }),
    ...(taskSteps !== undefined && { steps: parseCount(taskSteps, '--task-steps', { min: 1, max: 1_000_000 }) }),
    ...(taskTokens !== undefined && { tokens: parseCount(taskTokens, '--task-tokens', { min: 1, max: mostTokens }) }),
    ...(taskUsd !== undefined && { usd: parseAmount(taskUsd, '--task-usd') }),
  };
}

/** An amount of US dollars above 0. @throws OpencodeManagerError `USAGE` */
export function parseAmount(text: string, option: string): number {
  const amount = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (amount > 0 && amount <= 1e9) return amount;
  throw new OpencodeManagerError(
    'USAGE',
    `${option}: ${JSON.stringify(text)} is no amount of US dollars above 0; write for example 2.50.`,
    {
      details: { option },
    },
  );
}

/** The table of `--prices`. The pool checks what it holds. @throws OpencodeManagerError `CONFIG_INVALID` */
export async function readPrices(path: string): Promise<NonNullable<SessionPoolOptions['prices']>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as NonNullable<SessionPoolOptions['prices']>;
  } catch (error) {
    throw new OpencodeManagerError('CONFIG_INVALID', `--prices: ${path} cannot be read as JSON (${(error as Error).message}).`, {
      details: { field: '--prices' },
      cause: error,
    });
  }
}

interface PricedRun {
  readonly tasks: readonly PricedTask[];
  /** Of tasks that name none. */
  readonly model: string | undefined;
  readonly agent: string | undefined;
  /** What tasks go on with whose provider has no quota left. */
  readonly fallback: string | undefined;
  readonly limits: { readonly run: RunLimits; readonly task: TaskLimits };
  readonly prices: SessionPoolOptions['prices'];
}

type PricedTask = Pick<NamedTask, 'id' | 'model' | 'agent' | 'command' | 'shell' | 'limits'>;

/** A limit of money holds nothing of a model whose price nobody knows. @throws OpencodeManagerError `MODEL_UNPRICED` before the first prompt */
export function refuseUnpriced(catalogue: Catalogue, { tasks, limits, prices = {}, fallback, ...defaults }: PricedRun): void {
  const unknown = new Set((catalogue.unpriced ?? []).filter((one) => !Object.hasOwn(prices, one)));
  for (const task of tasks) {
    const usd = limits.run.usd ?? limits.task.usd ?? task.limits?.usd ?? null;
    if (usd === null || task.shell !== undefined) continue;
    const model = [modelOf(task, catalogue, defaults), fallback].find((one) => one !== undefined && unknown.has(one));
    if (model !== undefined) throw unpriced(`Task ${task.id}`, model);
  }
}

/** As opencode chooses it: the model of a command before all, and that of an agent where nobody names another. */
function modelOf(
  { model, agent, command }: PricedTask,
  { choices, defaultModel }: Catalogue,
  defaults: Pick<PricedRun, 'model' | 'agent'>,
) {
  const wanted = { model: model ?? defaults.model, agent: agent ?? defaults.agent, command: commandName(command) };
  const chosen = chosenFor(choices, wanted).model?.value;
  return chosen ?? wanted.model ?? defaultModel;
}

function unpriced(who: string, model: string): OpencodeManagerError {
  const example = JSON.stringify({ [model]: { input: 3, output: 15 } });
  return new OpencodeManagerError(
    'MODEL_UNPRICED',
    `${who}: opencode knows no price of ${model}, so a limit in US dollars would not hold. Give one with --prices FILE (${example}, USD per million tokens), or say --allow-unpriced.`,
    { details: { model } },
  );
}
