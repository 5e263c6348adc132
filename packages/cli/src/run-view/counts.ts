import type { RunStatus } from '@opencode-manager/runs/look';
import type { StateCounts, TaskState } from '@opencode-manager/runs/read';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { formatCount, plural } from '../render/format.ts';

/** Words of a status for people. */
export function statusText(status: RunStatus): string {
  const words: Partial<Record<RunStatus, string>> = {
    elsewhere: 'held on another machine or in another container',
    drained: 'stopped: started no more tasks',
    aborted: 'stopped: aborted',
    fail_fast: 'stopped: a task failed',
    max_failures: 'stopped: too many tasks failed',
    setup_failures: 'stopped: no workspace could be set up',
    restarts_spent: 'stopped: the server was lost too often',
    storage_full: 'stopped: no room on the disk',
  };
  return words[status] ?? status;
}

/** `7 of 8 tasks succeeded, 1 failed`; then what is not over, and tasks that the source names no more. */
export function countsText({ total, states, dropped }: StateCounts): string {
  const { succeeded = 0, ...others } = states;
  const rest = Object.entries(others).filter(([, count]) => count > 0);
  const parts = rest
    .toSorted(([one], [other]) => rankOf(one) - rankOf(other))
    .map(([state, count]) => `${formatCount(count)} ${state.replaceAll('_', ' ')}`);
  const gone = dropped > 0 ? [`${formatCount(dropped)} dropped`] : [];
  return [`${formatCount(succeeded)} of ${plural(total, 'task')} succeeded`, ...parts, ...gone].join(', ');
}

const last: readonly string[] = ['skipped', 'interrupted', 'running', 'waiting', 'not_started'] satisfies TaskState[];

function rankOf(state: string): number {
  return last.indexOf(state);
}

/** The exit code that `ocm run` has for a run which ended so. */
export function exitCodeOfRun(status: RunStatus, { total, states }: StateCounts): ExitCode {
  if (status === 'restarts_spent') return exitCodes.noServer;
  if (status === 'storage_full') return exitCodes.storage;
  return status === 'done' && states.succeeded === total ? exitCodes.ok : exitCodes.failed;
}
