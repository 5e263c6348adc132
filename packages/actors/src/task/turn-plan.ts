import type { TurnRequest } from '@opencode-manager/core';
import type { TurnBounds } from '../machines/index.ts';
import type { PoolSettings } from '../pool/settings.ts';
import type { TurnPlan } from '../session/turn-in-flight.ts';
import type { LiveTask } from './live-task.ts';
import { addSpent, budgetOf, spentIn } from './spent.ts';

interface PlanContext {
  readonly settings: Pick<PoolSettings, 'taskLimits' | 'taskTimeoutMs'>;
  readonly nowMs: number;
}

/** The next turn of a task, with what is left of its limits: they are for the whole attempt. */
export function turnPlanOf(live: LiveTask, request: TurnRequest, context: PlanContext): TurnPlan {
  return {
    taskId: live.id,
    request,
    limits: boundsOf(live, context),
    ...(live.turns.length > 0 && { spentBefore: budgetOf(live.turns.map(spentIn).reduce(addSpent)) }),
    timeoutMs: timeoutOf(live, context),
    policy: live.policy,
    emptyAnswer: live.task.emptyAnswer ?? 'refuse',
  };
}

function boundsOf({ task: { limits }, maxRetryWaitMs }: LiveTask, { settings }: PlanContext): Partial<TurnBounds> {
  const { timeoutMs: _apart, ...wanted } = { ...settings.taskLimits, ...limits };
  return { ...wanted, ...(maxRetryWaitMs !== undefined && { retryWaitMs: maxRetryWaitMs }) };
}

/** A deadline counts from the start of the attempt's first turn; its own for a leased session from the time at which that was asked for. */
function timeoutOf({ task, leased, queuedAtMs, startedAtMs = 0, turns }: LiveTask, { settings, nowMs }: PlanContext): number | null {
  const ownMs = task.timeoutMs ?? task.limits?.timeoutMs;
  const timeoutMs = ownMs ?? settings.taskTimeoutMs;
  if (timeoutMs === null) return null;
  const begunAtMs = turns.length > 0 ? startedAtMs : nowMs;
  const fromMs = leased && ownMs !== undefined ? queuedAtMs : begunAtMs;
  return Math.max(1, Math.round(timeoutMs - (nowMs - fromMs)));
}
