import type { Outcome } from '@opencode-manager/actors';
import type { AttemptEnded, JournalEvent, ReachedLimit, TaskAdded } from '../journal/events.ts';

/** An attempt whose prompt may have been sent, and whose end is not in the journal. */
export interface OpenAttempt {
  readonly attempt: number;
  readonly token: string;
  readonly sessionId: string;
  readonly messageId: string;
  readonly directory: string;
  /** The server is known to have the prompt. */
  readonly accepted: boolean;
  /** The attempt whose session and place it goes on in; absent for one with its own. */
  readonly continues?: number;
}

/** How the newest attempt of a task ended. Its whole result is in the journal. */
export interface AttemptSummary {
  readonly attempt: number;
  readonly outcome: Outcome;
  /** No further attempt follows, as things stand. */
  readonly final: boolean;
  readonly errorCode: string | null;
  readonly limit: ReachedLimit | null;
  readonly abortedBy: 'user' | 'manager' | null;
  /** When a spent quota is free again; null when nobody said so. */
  readonly resetAtMs: number | null;
  /** Where it was, when its prompt was to be sent. */
  readonly session: OpenAttempt | null;
}

/** What the journal says of a task. */
export interface TaskRecord {
  readonly key: string;
  readonly hash: string;
  /** See `TaskAdded.fields`. */
  readonly fields: Readonly<Record<string, string>> | null;
  readonly after: readonly string[];
  readonly retries: number;
  /** The source names it no more. */
  readonly isDropped: boolean;
  /** Number of its newest attempt; 0 before the first. */
  readonly attempts: number;
  /** Attempts that took of its own tries, and of those of the infrastructure, since it was added last. */
  readonly ownTries: number;
  readonly infrastructureTries: number;
  /** Deaths of the server that it was in flight at, since an attempt of it ended otherwise. */
  readonly deaths: number;
  readonly open: OpenAttempt | null;
  /** Since it was added last. */
  readonly end: AttemptSummary | null;
  /** Where its next attempt goes on; null when it begins in a session and a place of its own. */
  readonly goesOn: OpenAttempt | null;
  /** The model that its attempts run with since the quota of its own was spent; null before that. */
  readonly fallback: string | null;
  /** The task without whose success it is not run. */
  readonly blockedBy: string | null;
}

/** Deaths of the server that make a task a suspect: it is run alone, after all others. */
export const suspectDeaths = 3;

export function isSuspect({ deaths }: TaskRecord): boolean {
  return deaths >= suspectDeaths;
}

/** Whether nothing more is to be done for it, as things stand. */
export function isSettled({ end, blockedBy }: TaskRecord): boolean {
  return blockedBy !== null || end?.final === true;
}

export function hasSucceeded({ end }: TaskRecord): boolean {
  return end?.final === true && end.outcome === 'succeeded';
}

/** A task that is added for the first time. */
export function newRecord({ key, hash, fields, after, retries }: Omit<TaskAdded, 'type'>): TaskRecord {
  const asked = { key, hash, fields: fields ?? null, after, retries };
  return {
    ...asked,
    isDropped: false,
    attempts: 0,
    ownTries: 0,
    infrastructureTries: 0,
    deaths: 0,
    open: null,
    end: null,
    goesOn: null,
    fallback: null,
    blockedBy: null,
  };
}

/**
 * What a row changes about its task. A task that is added again begins anew: its counters are 0, and its attempts count on. One that was
 * dropped and is added with the hash that it had is back as it was. Rows that name no task of the run change nothing.
 */
export function applyEvent<Record extends TaskRecord>(record: Record, event: JournalEvent): Record {
  switch (event.type) {
    case 'task.added':
      return addAgain(record, event);
    case 'task.dropped':
      return { ...record, isDropped: true };
    case 'attempt.intended': {
      const { attempt, token, sessionId, messageId, directory, continues, fallback = record.fallback } = event;
      const where = { sessionId, messageId, directory, ...(continues !== undefined && { continues }) };
      const open = { attempt, token, ...where, accepted: false };
      return { ...record, attempts: Math.max(record.attempts, attempt), open, goesOn: null, fallback, blockedBy: null };
    }
    case 'attempt.accepted':
      return record.open?.attempt === event.attempt ? { ...record, open: { ...record.open, accepted: true } } : record;
    case 'attempt.ended':
      return endAttempt(record, event);
    case 'task.skipped':
      return { ...record, blockedBy: event.blockedBy };
    default:
      return record;
  }
}

function addAgain<Record extends TaskRecord>(record: Record, event: TaskAdded): Record {
  const { after, retries } = event;
  if (record.isDropped && record.hash === event.hash) return { ...record, isDropped: false, after, retries };
  return { ...record, ...newRecord(event), attempts: record.attempts, deaths: record.deaths };
}

/** After these ends the server, not the task, is at fault, or it cannot be told. */
const undecided: ReadonlySet<Outcome> = new Set(['server_lost', 'interrupted', 'aborted']);

/** A parked task goes on where it was. An attempt of which nothing was sent has left that as it is, unless it is gone. */
function goesOnAfter({ goesOn }: TaskRecord, { outcome, final, gone }: AttemptEnded, session: OpenAttempt | null): OpenAttempt | null {
  if (final || gone) return null;
  if (session) return outcome === 'quota_exhausted' ? session : null;
  return undecided.has(outcome) ? goesOn : null;
}

function endAttempt<Record extends TaskRecord>(record: Record, event: AttemptEnded): Record {
  const { attempt, outcome, final, counts, error, limit, abortedBy, result } = event;
  const session = record.open?.attempt === attempt ? record.open : null;
  const resetAtMs = result.reset_at === undefined ? null : Date.parse(result.reset_at);
  const summary = { attempt, outcome, final, errorCode: error?.code ?? null, limit: limit ?? null, abortedBy: abortedBy ?? null };
  return {
    ...record,
    attempts: Math.max(record.attempts, attempt),
    ownTries: record.ownTries + (counts === 'task' ? 1 : 0),
    infrastructureTries: record.infrastructureTries + (counts === 'infrastructure' ? 1 : 0),
    deaths: undecided.has(outcome) ? record.deaths + (event.deaths ?? 0) : 0,
    open: null,
    end: { ...summary, resetAtMs, session },
    goesOn: goesOnAfter(record, event, session),
    blockedBy: null,
  };
}
