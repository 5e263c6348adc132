import type { Outcome } from '@opencode-manager/actors';
import type { Spent } from '@opencode-manager/actors/hosts';
import type { AttemptEnded, JournalEvent, ReachedLimit, TaskAdded } from '../journal/events.ts';
import type { Taken } from './run.types.ts';
import { takenBy } from './spent.ts';

/** An attempt whose prompt may have been sent, and whose end is not in the journal. */
export interface OpenAttempt {
  readonly attempt: number;
  readonly token: string;
  readonly sessionId: string;
  /** Our newest message, by which it is judged. */
  readonly messageId: string;
  readonly firstMessageId: string;
  readonly directory: string;
  /** How often its answer was to be corrected. */
  readonly repairs: number;
  /** What its turns had taken before the newest; null for the first one. */
  readonly spent: Spent | null;
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
  /** What it has taken, with the parts that it went on after. */
  readonly taken: Taken;
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
  /** A user wants no more of it. */
  readonly isCancelled: boolean;
}

/** Deaths of the server that make a task a suspect: it is run alone, after all others. */
export const suspectDeaths = 3;

export function isSuspect({ deaths }: TaskRecord): boolean {
  return deaths >= suspectDeaths;
}

export function hasSucceeded({ end }: TaskRecord): boolean {
  return end?.final === true && end.outcome === 'succeeded';
}

/** A task that is added for the first time. */
export function newRecord({
  key,
  hash,
  fields,
  after,
  retries,
}: Pick<TaskRecord, 'key' | 'hash' | 'after' | 'retries'> & { readonly fields?: TaskRecord['fields'] }): TaskRecord {
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
    isCancelled: false,
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
      const first = { messageId, firstMessageId: messageId, repairs: 0, spent: null, accepted: false };
      const open: OpenAttempt = { attempt, token, sessionId, directory, ...first, ...(continues !== undefined && { continues }) };
      return { ...record, attempts: Math.max(record.attempts, attempt), open, goesOn: null, fallback, blockedBy: null };
    }
    case 'attempt.repairing': {
      const { messageId, repair, spent } = event;
      if (record.open?.token !== event.token) return record;
      return { ...record, open: { ...record.open, messageId, repairs: repair, spent, accepted: false } };
    }
    case 'attempt.accepted':
      return record.open?.attempt === event.attempt ? { ...record, open: { ...record.open, accepted: true } } : record;
    case 'attempt.ended':
      return endAttempt(record, event);
    case 'task.skipped':
      return { ...record, blockedBy: event.blockedBy };
    case 'task.cancelled':
      return { ...record, isCancelled: true };
    case 'task.requeued':
      return { ...record, ...newRecord(record), attempts: record.attempts, deaths: record.deaths };
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
    end: { ...summary, resetAtMs, session, taken: takenBy(result) },
    goesOn: goesOnAfter(record, event, session),
    blockedBy: null,
  };
}
