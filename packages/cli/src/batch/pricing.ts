import type { OpencodeServer } from '@opencode-manager/core';
import type { RunFlags } from '../flags.ts';
import { refuseUnpriced, type TurnSettings } from '../options/index.ts';
import type { BatchPlan } from './run-plan.ts';
import { fallbackIn, runSettings } from './request.ts';

/** What decides whether a limit in US dollars holds for the tasks of a run. */
export interface PricedPlan {
  readonly tasks: BatchPlan['tasks'];
  readonly flags: RunFlags;
  readonly settings: TurnSettings & Pick<BatchPlan['settings'], 'taskLimits' | 'prices'>;
}

/** Refuses a limit in US dollars, that of the flags or another one, which would not hold. @throws OpencodeManagerError `MODEL_UNPRICED` */
export async function assertPriced(server: OpencodeServer, { tasks, flags, settings }: PricedPlan, usd?: number): Promise<void> {
  if (flags.allowUnpriced === true) return;
  const { model, agent, taskLimits: task = {}, prices } = settings;
  const { limits } = runSettings(flags, undefined);
  const run = { timeoutMs: null, tokens: null, ...limits, usd: usd ?? limits?.usd ?? null };
  // The server remembers it.
  const withoutCommands = !tasks.some(({ command }) => command !== undefined);
  const catalogue = await server.catalogue(server.directory, { withoutCommands });
  refuseUnpriced(catalogue, { tasks, model, agent, fallback: fallbackIn(flags.onQuota), limits: { run, task }, prices });
}
