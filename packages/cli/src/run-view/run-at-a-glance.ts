import { lookAtRun, statusByJournal, type RunLook, type RunState, type RunStatus } from '@opencode-manager/runs/look';
import type { StateCounts, TaskState } from '@opencode-manager/runs/read';

/** How a run stands, and its tasks. */
export interface RunGlance extends Pick<RunLook, 'path' | 'run' | 'holder'> {
  readonly status: RunStatus;
  readonly counts: StateCounts;
  /** ISO 8601: when the counts were true; null for now. */
  readonly toldAt: string | null;
  /** What it has told besides. */
  readonly told: ToldFacts;
}

interface HeldProvider {
  readonly id: string;
  readonly is_paused: boolean;
  /** ISO 8601; null when no time is known. */
  readonly held_until: string | null;
}

/** Facts of `state.json` as they are told on: null, or absent, when they are not known. */
interface ToldFacts {
  readonly cost_usd?: number | null;
  readonly tasks_per_minute?: number | null;
  readonly eta_seconds?: number | null;
  /** Why nothing starts although tasks wait. */
  readonly holding?: string | null;
  /** Of attempts in flight, in US dollars, so far. */
  readonly running_usd?: number;
  /** Providers that nothing is asked of now. */
  readonly providers?: readonly HeldProvider[];
}

/**
 * Looks at a run: its small files, and its journal only where these do not tell.
 * @throws OpencodeManagerError `RUN_UNREADABLE`
 */
export async function glanceAt(path: string): Promise<RunGlance> {
  const look = await lookAtRun(path);
  const counts = look.state && countsOf(look.state, look.status);
  if (look.status === undefined || counts === undefined) return glanceAtJournal(path);
  const toldAt = look.state?.['updated_at'];
  return { ...look, status: look.status, counts, toldAt: typeof toldAt === 'string' ? toldAt : null, told: factsOf(look.state) };
}

async function glanceAtJournal(path: string): Promise<RunGlance> {
  const { readRun, countStates, isHeld } = await import('@opencode-manager/runs/read');
  const { run, history, holder } = await readRun(path, { lastRows: 0 });
  const counts = countStates(history.tasks, isHeld(holder));
  return { path, run, holder, status: statusByJournal(holder, history.endedBecause), counts, toldAt: null, told: {} };
}

function factsOf(state: RunState = {}): ToldFacts {
  const { cost_usd, tasks_per_minute, eta_seconds, holding, providers, running_spent: flying } = state;
  const numbers = Object.entries({ cost_usd, tasks_per_minute, eta_seconds }).filter(
    ([, value]) => typeof value === 'number' || value === null,
  );
  return {
    ...(Object.fromEntries(numbers) as ToldFacts),
    ...(typeof holding === 'string' && { holding }),
    ...(typeof flying === 'object' && flying !== null && { running_usd: numberIn(flying as RunState, 'usd') }),
    ...(Array.isArray(providers) && providers.length > 0 && { providers: providers as HeldProvider[] }),
  };
}

/** The counts that a run has told; undefined when they are not there. Without its process, what ran or waited for a further attempt is interrupted. */
function countsOf(state: RunState, status: RunStatus | undefined): StateCounts | undefined {
  const { total, outcomes } = state;
  if (typeof total !== 'number' || typeof outcomes !== 'object' || outcomes === null) return undefined;
  const ended = outcomes as Partial<Record<TaskState, number>>;
  const notStarted = numberIn(state, 'not_started');
  const running = numberIn(state, 'running');
  // Tasks that wait are those that have not begun, and those that had an attempt.
  const waiting = Math.max(0, numberIn(state, 'waiting') - notStarted);
  const isLive = status === 'running' || status === 'elsewhere';
  const all: Partial<Record<TaskState, number>> = {
    ...ended,
    ...(isLive ? { running, waiting } : { interrupted: (ended.interrupted ?? 0) + running + waiting }),
    skipped: numberIn(state, 'skipped'),
    not_started: notStarted,
  };
  const states = Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
  return { total, states, dropped: numberIn(state, 'dropped') };
}

function numberIn(state: RunState, field: string): number {
  const value = state[field];
  return typeof value === 'number' ? value : 0;
}

/** The record of a run with `--json`. */
export function runRecord({ path, run, holder, status, counts, toldAt, told }: RunGlance): object {
  const { id, created_at, directory, source } = run;
  const { total, states, dropped } = counts;
  const by = holder.holder;
  return {
    type: 'run',
    id,
    path,
    status,
    created_at,
    directory,
    source,
    holder: by ? { pid: by.pid, host: by.host, since: by.since, standing: holder.standing } : null,
    total,
    states,
    dropped,
    ...told,
    updated_at: toldAt,
  };
}
