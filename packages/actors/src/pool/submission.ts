import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { EndedTask } from '../machines/index.ts';
import type { LiveTask } from '../task/live-task.ts';
import type { Task } from '../task/types.ts';

/** @throws `CONFIG_INVALID` */
export function assertSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new OpencodeManagerError(
    'CONFIG_INVALID',
    'signal: must be an AbortSignal (of an AbortController, its signal). Nothing was queued.',
    {
      details: { field: 'signal' },
    },
  );
}

/** Refuses what a task of a leased session cannot choose, instead of leaving it unused. @throws `TASK_INVALID` */
export function assertOfLease({ id, directory, title }: Task): void {
  const refuse = (field: string, reason: string) => {
    throw new OpencodeManagerError('TASK_INVALID', `Task ${id ?? ''} cannot be run: ${field}: ${reason}. Nothing was sent.`, {
      details: { field },
    });
  };
  if (directory !== undefined) refuse('directory', 'a task of a leased session works where its session does');
  if (title !== undefined) refuse('title', 'a leased session has its title from createSession(); rename() changes it');
}

/** The end of a task whose caller had given it up before it was handed in. */
export function abortedAtOnce({ id }: LiveTask): EndedTask {
  const error = new OpencodeManagerError('TURN_ABORTED', 'The task was aborted before its turn began. Nothing was sent.');
  return { taskId: id, outcome: 'aborted', error: error.toJSON() };
}
