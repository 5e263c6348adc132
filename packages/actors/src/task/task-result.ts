import type { TurnProof } from '@opencode-manager/core';
import { isServerLoss } from '../session/failures.ts';
import type { EndedTask } from '../machines/index.ts';
import type { TurnReport } from '../session/turn-in-flight.ts';
import type { LiveTask } from './live-task.ts';
import { addSpent, spentIn, type Spent } from './spent.ts';
import type { TaskResult, Usage } from './types.ts';

const noUsage: Usage = { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 };
const nothingSpent: Spent = { usage: noUsage, cost_usd: 0, model_calls: 0, tool_calls: 0 };

export interface ResultContext {
  readonly now: number;
  /** Directory of tasks that name none. */
  readonly directory: string;
  readonly model: string | undefined;
}

/** The result of a task, by what became of it and by what its newest attempt left. */
export function resultOf(live: LiveTask, end: EndedTask, context: ResultContext): TaskResult {
  const { last } = live;
  return last?.report && last.attempt === live.attempt
    ? resultOfTurn(live, last.report, end, context)
    : resultWithoutTurn(live, end, context);
}

function resultOfTurn(live: LiveTask, report: TurnReport, { outcome, error }: EndedTask, context: ResultContext): TaskResult {
  const { finished, summary, endedAtMs } = report;
  const turns = [...live.turns, report];
  const { startedAtMs } = turns[0]!;
  const brokeOff = !live.workspace && (isServerLoss(finished) || (finished.quarantined && outcome === 'interrupted'));
  const notes = [...turns.flatMap((turn) => turn.finished.notes), ...untakenOf(live)];
  return {
    ...frameOf(live, context),
    outcome,
    message_id: finished.messageId,
    model: summary.model ?? modelOf(live, context),
    output: summary.output,
    finish: finished.finish,
    ...(summary.exitCode !== undefined && { exit_code: summary.exitCode }),
    ...(notes.length > 0 && { notes }),
    ...turns.map(spentIn).reduce(addSpent),
    duration_ms: Math.round(endedAtMs - startedAtMs),
    queued_ms: Math.round(startedAtMs - live.queuedAtMs),
    proof: toldProof(finished.proof),
    asks: turns.flatMap(({ asks }) => asks),
    gaps: turns.reduce((sum, turn) => sum + turn.finished.gaps, 0),
    retries: turns.reduce((sum, turn) => sum + turn.finished.retries, 0),
    error,
    ...live.workspace?.result,
    ...lossesOf({ ...live, halfChanged: live.halfChanged || brokeOff }),
    ...(finished.resetAtMs !== null && { reset_at: new Date(finished.resetAtMs).toISOString() }),
  };
}

function untakenOf({ workspace }: LiveTask): string[] {
  if (workspace?.problem === undefined) return [];
  return [`What it did was not taken (${workspace.problem}). It is in ${workspace.directory}, or under a ref if that is gone.`];
}

/** Refused before it was sent, or ended while it waited. */
function resultWithoutTurn(live: LiveTask, { outcome, error }: EndedTask, context: ResultContext): TaskResult {
  const startedAtMs = live.startedAtMs ?? context.now;
  return {
    ...frameOf(live, context),
    outcome,
    message_id: live.messageId ?? null,
    model: modelOf(live, context),
    output: '',
    finish: null,
    ...(live.brokenOff ?? nothingSpent),
    duration_ms: Math.round(context.now - startedAtMs),
    queued_ms: Math.round(startedAtMs - live.queuedAtMs),
    proof: null,
    asks: [],
    gaps: 0,
    retries: 0,
    error,
    ...lossesOf(live),
  };
}

/** A proof as results tell it. Times inside are finer than a millisecond, so that no two are the same; results have whole ones. */
export function toldProof(proof: TurnProof | null): TaskResult['proof'] {
  if (!proof) return null;
  const whole = Object.entries(proof).map(([signal, { atMs, source }]) => [signal, { at_ms: Math.floor(atMs), source }]);
  return Object.fromEntries(whole) as TaskResult['proof'];
}

function lossesOf({
  earlier,
  halfChanged,
}: Pick<LiveTask, 'earlier' | 'halfChanged'>): Pick<TaskResult, 'attempts' | 'workspace_may_be_half_changed'> {
  return { ...(earlier.length > 0 && { attempts: [...earlier] }), ...(halfChanged && { workspace_may_be_half_changed: true }) };
}

function frameOf(
  live: LiveTask,
  { directory }: ResultContext,
): Pick<TaskResult, 'schema_version' | 'id' | 'attempt' | 'session_id' | 'opencode' | 'directory' | 'metadata' | 'group'> {
  return {
    schema_version: 1,
    id: live.id,
    attempt: live.attempt,
    session_id: live.sessionId ?? null,
    ...(live.opencode && { opencode: live.opencode }),
    directory: live.directory ?? live.task.directory ?? directory,
    metadata: live.task.metadata ?? {},
    ...(live.task.group !== undefined && { group: live.task.group }),
  };
}

function modelOf({ task }: LiveTask, { model }: ResultContext): string | null {
  return task.shell === undefined ? (task.model ?? model ?? null) : null;
}
