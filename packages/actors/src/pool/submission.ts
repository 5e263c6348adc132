import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { EndedTask } from '../machines/index.ts';
import type { LiveTask } from '../task/live-task.ts';

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

/** The end of a task whose caller had given it up before it was handed in. */
export function abortedAtOnce({ id }: LiveTask): EndedTask {
  const error = new OpencodeManagerError('TURN_ABORTED', 'The task was aborted before its turn began. Nothing was sent.');
  return { taskId: id, outcome: 'aborted', error: error.toJSON() };
}
