import type { ActorView } from '../run/view.ts';
import type { BatchHead, BatchRow } from './format.ts';

/** What the states of a session mean for its task. */
const sessionWords: Readonly<Record<string, string>> = {
  submitting: 'its prompt goes out',
  running: 'the model works',
  awaitingInput: 'waits for an answer',
  backingOff: 'the provider backs off',
  waitingOnChildren: 'sub-agents work',
  settling: 'comes to its end',
  reconciling: 'is read again after a gap',
  aborting: 'is aborted',
  escalating: 'is aborted',
};

/** `12:04` today, `Nov 29, 12:04` on another day. */
export function clockTime(atMs: number, nowMs: number): string {
  const isToday = new Date(atMs).toDateString() === new Date(nowMs).toDateString();
  const day = isToday ? {} : ({ month: 'short', day: 'numeric' } as const);
  return new Date(atMs).toLocaleString('en-US', { ...day, hour: '2-digit', minute: '2-digit', hour12: false });
}

/** `timed_out` reads `timed out`. */
export function plain(state: string): string {
  return state.replaceAll('_', ' ');
}

export interface Surroundings {
  readonly isLive: boolean;
  readonly nowMs: number;
  /** Of the attempt in flight, where the page knows it. */
  readonly session: ActorView | undefined;
  /** Keys of tasks that have succeeded. */
  readonly succeeded: (key: string) => boolean;
}

/** The state of a task as a few words. */
export function stateWords({ state, after, blockedBy, resetAtMs }: BatchRow, { isLive, nowMs, session, succeeded }: Surroundings): string {
  if (state === 'running') return sessionWords[session?.path.split('.').at(-1) ?? ''] ?? 'runs';
  if (state === 'waiting')
    return resetAtMs === null ? 'waits for its next attempt' : `waits for quota until ${clockTime(resetAtMs, nowMs)}`;
  if (state === 'skipped') return blockedBy === null ? 'skipped' : `skipped, as ${blockedBy} did not succeed`;
  if (state !== 'not_started' || !isLive) return plain(state);
  const first = after.find((key) => !succeeded(key));
  return first === undefined ? 'waits for its turn' : `waits for ${first}`;
}

/** How a run stands, as a few words. */
export function standingWords({ standing, endedBecause }: BatchHead): string {
  if (standing === 'ended') return endedBecause === 'done' ? 'done' : `ended: ${plain(endedBecause ?? '')}`;
  return { live: 'live', elsewhere: 'on another machine', interrupted: 'interrupted' }[standing];
}
