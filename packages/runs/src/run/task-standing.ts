import type { Flight, RunTask, TaskPlace } from '../machine/index.ts';
import type { TaskStanding, TaskStandingState } from './control.types.ts';

const stateOfPlace: Readonly<Record<Exclude<TaskPlace, 'settled' | 'flight' | 'skipping'>, TaskStandingState>> = {
  ready: 'queued',
  suspect: 'queued',
  requeueing: 'queued',
  blocked: 'blocked',
  delayed: 'delayed',
  parked: 'parked',
  unlooked: 'reading',
};

/** Where a task stands, in the words that users see. */
export function taskStanding(task: RunTask, flight: Flight | undefined): TaskStanding {
  const { key, attempts, open, end, blockedBy, isCancelled } = task;
  return {
    key,
    state: stateOf(task, flight),
    attempt: flight?.attempt ?? attempts,
    sessionId: flight ? (open?.sessionId ?? null) : null,
    outcome: end?.outcome ?? null,
    errorCode: end?.errorCode ?? null,
    blockedBy,
    isCancelled,
  };
}

function stateOf({ place, end, blockedBy, isCancelled }: RunTask, flight: Flight | undefined): TaskStandingState {
  if (place === 'flight') return flight?.phase === 'looking' ? 'reading' : 'running';
  if (place !== 'settled' && place !== 'skipping') return stateOfPlace[place];
  if (blockedBy !== null) return 'skipped';
  return end?.outcome ?? (isCancelled ? 'cancelled' : 'skipped');
}
