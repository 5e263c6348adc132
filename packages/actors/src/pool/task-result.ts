import type { SerializedError, TurnProof } from '@opencode-manager/core';
import type { TurnReport } from '../session/turn-in-flight.ts';
import type { Outcome, TaskResult, Usage } from '../task/types.ts';
import type { TaskRun } from './task-run.ts';

const noUsage: Usage = { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };

export interface ResultContext {
  readonly now: number;
  /** Directory of tasks that name none. */
  readonly directory: string;
  readonly model: string | undefined;
}

/** The result of a task that had a turn. */
export function resultOfTurn(run: TaskRun, report: TurnReport, context: ResultContext): TaskResult {
  const { finished, summary, asks, startedAtMs, endedAtMs } = report;
  return {
    ...frameOf(run, context),
    outcome: finished.outcome,
    message_id: finished.messageId,
    model: summary.model ?? modelOf(run, context),
    output: summary.output,
    usage: summary.usage,
    cost_usd: summary.costUsd,
    duration_ms: Math.round(endedAtMs - startedAtMs),
    queued_ms: Math.round(startedAtMs - run.queuedAtMs),
    proof: wholeTimes(finished.proof),
    asks,
    gaps: finished.gaps,
    retries: finished.retries,
    tool_calls: summary.toolCalls,
    error: finished.error,
    ...lossesOf(run),
    ...(finished.resetAtMs !== null && { reset_at: new Date(finished.resetAtMs).toISOString() }),
  };
}

/** The result of a task that had none: refused before it was sent, or ended while it waited. */
export function resultWithoutTurn(run: TaskRun, outcome: Outcome, error: SerializedError | null, context: ResultContext): TaskResult {
  const startedAtMs = run.startedAtMs ?? context.now;
  return {
    ...frameOf(run, context),
    outcome,
    message_id: run.messageId ?? null,
    model: modelOf(run, context),
    output: '',
    usage: noUsage,
    cost_usd: 0,
    duration_ms: Math.round(context.now - startedAtMs),
    queued_ms: Math.round(startedAtMs - run.queuedAtMs),
    proof: null,
    asks: [],
    gaps: 0,
    retries: 0,
    tool_calls: 0,
    error,
    ...lossesOf(run),
  };
}

/** The result of a task that ends for another reason than its interrupted turn names, with what that turn left. */
export function resultOfInterruption(
  run: TaskRun,
  report: TurnReport,
  { outcome, error }: Pick<TaskResult, 'outcome' | 'error'>,
  context: ResultContext,
): TaskResult {
  return { ...resultOfTurn(run, report, context), outcome, error, workspace_may_be_half_changed: true };
}

/** Times inside are finer than a millisecond, so that no two are the same; results have whole ones. */
function wholeTimes(proof: TurnProof | null): TurnProof | null {
  if (!proof) return null;
  const whole = Object.entries(proof).map(([signal, { atMs, source }]) => [signal, { atMs: Math.floor(atMs), source }]);
  return Object.fromEntries(whole) as TurnProof;
}

function lossesOf({ earlier, halfChanged }: TaskRun): Pick<TaskResult, 'attempts' | 'workspace_may_be_half_changed'> {
  return { ...(earlier.length > 0 && { attempts: [...earlier] }), ...(halfChanged && { workspace_may_be_half_changed: true }) };
}

function frameOf(
  run: TaskRun,
  { directory }: ResultContext,
): Pick<TaskResult, 'schema_version' | 'id' | 'attempt' | 'session_id' | 'directory' | 'metadata'> {
  return {
    schema_version: 1,
    id: run.id,
    attempt: run.attempt,
    session_id: run.host?.id ?? null,
    directory: run.host?.directory ?? run.directory ?? run.task.directory ?? directory,
    metadata: run.task.metadata ?? {},
  };
}

function modelOf({ task }: TaskRun, { model }: ResultContext): string | null {
  return task.shell === undefined ? (task.model ?? model ?? null) : null;
}
