import type { SessionPool, Task, TaskOptions, TaskResult } from '@opencode-manager/actors';

/** One more prompt in a session that is there. */
export interface FurtherTurn {
  /** The task that the session is of: how it was asked counts on, what was asked does not. */
  readonly task: Task;
  /** The name that the pool has for it. */
  readonly id: string;
  readonly session: { readonly sessionId: string; readonly directory: string };
  readonly prompt: string;
  /** What is left of the deadline of its task, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Sends one more prompt in a session that is there, with the model, the agent, the rules and the place of its task. `beforeSend` hears of
 * it under a message id of its own, and nothing goes out before that resolves: there its row is committed.
 */
export function furtherTurn(
  pool: SessionPool,
  { task, id, session, prompt, timeoutMs }: FurtherTurn,
  options: Pick<TaskOptions, 'beforeSend' | 'onAnswer' | 'signal' | 'keepsPlace' | 'maxRetryWaitMs' | 'repeat'>,
): Promise<TaskResult> {
  const { prompt: _first, command: _command, shell: _shell, files: _files, ...how } = task;
  return pool.run({ ...how, id, prompt, ...(timeoutMs !== undefined && { timeoutMs }) }, { ...options, continues: session });
}
