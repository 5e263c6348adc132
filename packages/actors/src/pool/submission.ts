import { assertKnownNames, OpencodeManagerError } from '@opencode-manager/core/errors';
import { parsePermissionPolicy } from '@opencode-manager/core/policy-schema';
import type { EndedTask } from '../machines/index.ts';
import type { LiveTask } from '../task/live-task.ts';
import { parseTask } from '../task/schema.ts';
import { assertWorkspace } from '../task/task-workspaces.ts';
import type { PermissionPolicy, SentTurn, Task, TaskOptions } from '../task/types.ts';
import { taskOptionNames } from './known-options.ts';
import type { PoolSettings } from './settings.ts';

/**
 * Checks a task with what stands beside it, before anything is queued; gives how its asks are answered.
 * @throws `TASK_INVALID`, `CONFIG_KEY_UNKNOWN`, `CONFIG_INVALID`
 */
export function checkSubmission(
  task: Task,
  options: TaskOptions,
  isLeased: boolean,
  settings: Pick<PoolSettings, 'permissions' | 'workspace' | 'workspaces' | 'repeats'>,
): PermissionPolicy {
  assertKnownNames('run()', options, taskOptionNames);
  const { signal, permissions, sent } = options;
  parseTask(task);
  if (isLeased) assertOfLease(task);
  assertWorkspace(task, isLeased, settings);
  const policy = permissions === undefined ? (task.permissions ?? settings.permissions) : parsePermissionPolicy(permissions, 'permissions');
  assertSignal(signal);
  assertSent(task, sent, isLeased, settings);
  if (options.continues && (isLeased || settings.repeats)) throw goesOnNowhere(task, isLeased);
  return policy;
}

/** @throws `CONFIG_INVALID` */
function assertSignal(signal: unknown): void {
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
function assertOfLease({ id, directory, title }: Task): void {
  const refuse = (field: string, reason: string) => {
    throw new OpencodeManagerError('TASK_INVALID', `Task ${id ?? ''} cannot be run: ${field}: ${reason}. Nothing was sent.`, {
      details: { field },
    });
  };
  if (directory !== undefined) refuse('directory', 'a task of a leased session works where its session does');
  if (title !== undefined) refuse('title', 'a leased session has its title from createSession(); rename() changes it');
}

/** Refuses a turn to be looked at that is not named whole, or whose workspace nobody has any more. @throws `TASK_INVALID` */
function assertSent(
  { id, workspace }: Task,
  sent: SentTurn | undefined,
  isLeased: boolean,
  settings: Pick<PoolSettings, 'workspace'>,
): void {
  if (sent === undefined) return;
  const unnamed = (['sessionId', 'messageId', 'directory'] as const).find((field) => typeof sent[field] !== 'string' || sent[field] === '');
  const isApart = (workspace ?? settings.workspace ?? 'shared') !== 'shared';
  if (unnamed === undefined && !isApart && !isLeased) return;
  const place = isLeased ? 'it is a task of a leased session' : 'the task has a workspace of its own';
  const reason = unnamed === undefined ? place : `sent.${unnamed} is missing`;
  throw new OpencodeManagerError('TASK_INVALID', `Task ${id ?? ''} cannot be taken up again: ${reason}. Nothing was sent.`, {
    details: { field: 'sent' },
  });
}

function goesOnNowhere({ id }: Task, isLeased: boolean): OpencodeManagerError {
  const reason = isLeased ? 'it is a task of a leased session' : 'this pool would begin it again elsewhere; create it with repeat: false';
  return new OpencodeManagerError('TASK_INVALID', `Task ${id ?? ''} cannot go on in a session: continues: ${reason}. Nothing was sent.`, {
    details: { field: 'continues' },
  });
}

/** The end of a task whose caller had given it up before it was handed in. */
export function abortedAtOnce({ id }: LiveTask): EndedTask {
  const error = new OpencodeManagerError('TURN_ABORTED', 'The task was aborted before its turn began. Nothing was sent.');
  return { taskId: id, outcome: 'aborted', error: error.toJSON() };
}
