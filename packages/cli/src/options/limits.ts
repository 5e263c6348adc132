import { readFile } from 'node:fs/promises';
import type { SessionPoolOptions, TaskLimits } from '@opencode-manager/actors';
import { OpencodeManagerError, type Catalogue } from '@opencode-manager/core';
import type { RunSettings } from '@opencode-manager/runs';
import type { LimitFlags } from '../flags.ts';
import { parseDuration } from '../task-file/index.ts';
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

export interface PricedRun {
  readonly tasks: readonly { readonly id?: string; readonly model?: string; readonly shell?: string; readonly limits?: TaskLimits }[];
  readonly model: string | undefined;
  readonly limits: { readonly run: RunLimits; readonly task: TaskLimits };
  readonly prices: SessionPoolOptions['prices'];
}

/** A limit of money holds nothing of a model whose price nobody knows. @throws OpencodeManagerError `MODEL_UNPRICED` before the first prompt */
export function refuseUnpriced({ unpriced = [], defaultModel }: Catalogue, { tasks, model, limits, prices = {} }: PricedRun): void {
  const unknown = new Set(unpriced.filter((one) => !Object.hasOwn(prices, one)));
  for (const task of tasks) {
    const chosen = task.model ?? model ?? defaultModel;
    const usd = limits.run.usd ?? limits.task.usd ?? task.limits?.usd ?? null;
    if (usd === null || task.shell !== undefined || chosen === undefined || !unknown.has(chosen)) continue;
    throw new OpencodeManagerError(
      'MODEL_UNPRICED',
      `Task ${task.id}: opencode knows no price of ${chosen}, so a limit in US dollars would not hold. Give one with --prices FILE (${JSON.stringify({ [chosen]: { input: 3, output: 15 } })}, USD per million tokens), or say --allow-unpriced.`,
      { details: { model: chosen } },
    );
  }
}
