import type { Outcome, TaskResult } from '@opencode-manager/actors';
import type { Spent } from '@opencode-manager/actors/hosts';
import type { SerializedError } from '@opencode-manager/core/errors';
import type { JournalEvent, ReachedLimit, RunEnded } from '../journal/events.ts';
import type { ResumePlan } from './resume.types.ts';
import type { OpenAttempt, TaskRecord } from './task-record.ts';
import type { TaskTable } from './task-table.ts';

/** How a run behaves. All can be left to their defaults. */
export interface RunSettings {
  /** Attempts in flight at most. */
  readonly concurrency: number;
  /** Further attempts of a task after ends that are the fault of the infrastructure. */
  readonly infrastructureTries: number;
  /** Delay before the first further attempt; doubled each time up to the longest, +-20 %. */
  readonly retryDelay: { readonly firstMs: number; readonly longestMs: number };
  /** Restarts of the server within a window; the last delay repeats. Deaths with suspects alone do not count. */
  readonly restartLimits: { readonly maxRestarts: number; readonly windowMs: number; readonly delaysMs: readonly number[] };
  /** `soon`: no attempt starts after the first failure; `now`: what runs is aborted as well. */
  readonly failFast: 'off' | 'soon' | 'now';
  /** No attempt starts after so many failures, or after this share of all tasks (above 0, at most 1); null for no such limit. */
  readonly maxFailures: { readonly count: number } | { readonly share: number } | null;
  /**
   * What becomes of a task whose provider has no quota left. `wait`: it gives its slot back, and goes on in its session when the quota is free
   * again, if the provider says when that is. `fail`: it ends as `quota_exhausted`. A fallback (`provider/model`): a new attempt with that model.
   */
  readonly onQuota: 'wait' | 'fail' | { readonly fallback: string };
  /** The wait after the time of reset, in milliseconds; to `marginMs` comes a part of `jitterMs`. No wait is longer than `longestMs`. */
  readonly quota: { readonly marginMs: number; readonly jitterMs: number; readonly longestMs: number };
  /** What becomes of an attempt that broke off with its manager: a new one, one that goes on in its session, or none. */
  readonly onInterrupted: 'retry' | 'continue' | 'fail';
  /** What the run may take as a whole. */
  readonly limits: RunLimits;
  /** A storage that is full for so long ends the run. */
  readonly storageTimeoutMs: number;
  /** A server that died and is not there again for so long ends the run. */
  readonly serverTimeoutMs: number;
}

/**
 * What a run may take, over all its managers but for the time; null for no limit. `tokens` (uncached input, output and reasoning) and `usd` count whole
 * session trees, by the steps that have ended: at the limit what runs is ended, so that each session takes at most the step under way more.
 */
export interface RunLimits {
  /** Milliseconds since this manager has taken the run up. */
  readonly timeoutMs: number | null;
  readonly tokens: number | null;
  readonly usd: number | null;
}

/** What attempts have taken. */
export interface Taken {
  readonly tokens: number;
  /** Of models whose price is known. */
  readonly usd: number;
}

export interface RunInput {
  readonly plan: ResumePlan;
  readonly settings?: Partial<RunSettings>;
  /** The model (`provider/model`) of each task, by its key; one that asks none, or of which it is not known, is absent. */
  readonly models?: Readonly<Record<string, string>>;
}

/**
 * What holds attempts back that ask one provider account. A server has one credential a provider, so the id of the provider is the account.
 * A gate holds back starts alone: what is in flight goes on.
 */
export interface ProviderGate {
  readonly id: string;
  /** Attempts in flight at most, as the pool says; null before it has said so. */
  readonly limit: number | null;
  /** The provider wants a pause until then; milliseconds since the epoch. */
  readonly pausedUntilMs: number | null;
  /** Its quota is spent until then, the margin included. */
  readonly quotaUntilMs: number | null;
  /** A user has paused it. */
  readonly isPaused: boolean;
}

/**
 * Where a task stands in its run. `blocked`: it waits for others. `ready`: it may start. `suspect`: it starts alone, after all others.
 * `delayed`: it waits for its next attempt. `parked`: for the quota of its provider. `unlooked`: its last attempt is to be read first.
 * `flight`: an attempt is in flight. `skipping`, `requeueing`: the row that skips it, or has it tried again, is not
 * committed. `settled`: nothing more is done for it.
 */
export type TaskPlace =
  | 'blocked'
  | 'ready'
  | 'suspect'
  | 'delayed'
  | 'parked'
  | 'unlooked'
  | 'flight'
  | 'skipping'
  | 'requeueing'
  | 'settled';

/** A task of the run: what the journal says of it, and where it stands. */
export interface RunTask extends TaskRecord {
  /** Its position in the source, from 0. */
  readonly order: number;
  /** Keys of the tasks that come after it. */
  readonly dependents: readonly string[];
  readonly place: TaskPlace;
  /** It had succeeded before this manager. */
  readonly isReused: boolean;
  /** How often this manager could not read its open attempt. */
  readonly unread: number;
  readonly notBeforeMs: number | null;
  /** `provider/model`, and the provider of it; null when it asks none, or that is not known. */
  readonly model: string | null;
  readonly provider: string | null;
}

/**
 * An attempt in flight. `looking`: its session is read. `starting`: the host makes its place and session. `intending`: the row of its intent
 * is not committed. `sending`: its prompt may have been sent. `accepted`: the server has it. `repairing`: its answer does not fit, and the host makes
 * a further prompt, which is then intended and sent as the first one. `ending`: the row of its end is not committed.
 */
export interface Flight {
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
  readonly phase: 'looking' | 'starting' | 'intending' | 'sending' | 'accepted' | 'repairing' | 'ending';
  readonly isSuspect: boolean;
  /** What it has taken so far. */
  readonly taken: Taken;
  /** How often its answer was corrected, or is to be. */
  readonly repairs: number;
  /** What its turns have taken before that; null without a correction. */
  readonly spent: Spent | null;
  /** The account that it asks. */
  readonly provider: string | null;
  /** The attempt whose session and place it goes on in. */
  readonly continues: number | null;
  /** The model that it runs with in place of its task's. */
  readonly fallback: string | null;
  /** Deaths of the server since its prompt may have been sent. */
  readonly deaths: number;
  /** `outcome`: what it ends as, in place of `aborted`. */
  readonly abort: { readonly by: 'user' | 'manager'; readonly reason: string; readonly outcome?: 'over_budget' } | null;
  /** With its end: the delay before the next attempt of its task; null when none follows, or at once. */
  readonly next: { readonly place: 'delayed' | 'parked'; readonly inMs: number } | null;
}

/** Why the run takes no more tasks. */
export interface Ending {
  readonly reason: RunEnded['reason'];
  /** What is in flight is aborted. */
  readonly aborts: boolean;
  /** A sentence; null when the reason says it all. */
  readonly why: string | null;
}

/** Failures of workspace setups, as long as no attempt got past its own. */
export interface SetupFailures {
  readonly keys: readonly string[];
  readonly message: string | null;
}

export interface RunContext {
  readonly settings: RunSettings;
  readonly generation: number;
  readonly tasks: TaskTable<RunTask>;
  readonly total: number;
  readonly dropped: number;
  /** Keys of tasks that may start, by the provider that they ask ('' for none), each list in the order of the source. None is empty. */
  readonly ready: Readonly<Record<string, readonly string[]>>;
  /** Keys, in the order of the source: of suspects, of attempts that are to be read. */
  readonly suspects: readonly string[];
  readonly unlooked: readonly string[];
  /** Tasks that wait for their next attempt. */
  readonly delayed: number;
  /** Tasks for which something is left to do. */
  readonly unsettled: number;
  readonly flights: readonly Flight[];
  /** When this manager took the run up, in milliseconds since the epoch. */
  readonly openedAtMs: number;
  readonly gates: readonly ProviderGate[];
  /** Attempts that were started by this manager. */
  readonly started: number;
  /** Tasks that failed under this manager. */
  readonly failures: number;
  /** What ended attempts have taken, those of earlier managers too. */
  readonly spent: Taken;
  /** What each of the newest ones has taken. */
  readonly samples: readonly Taken[];
  /** At these what runs is ended; a limit that was lowered without force is not among them. */
  readonly hardLimits: Pick<RunLimits, 'tokens' | 'usd'>;
  /** Limits of which it was told that they come near. */
  readonly warned: readonly (keyof Taken)[];
  /** Null once a setup went well. */
  readonly setupFailures: SetupFailures | null;
  readonly server: 'here' | 'away' | 'gone';
  /** Since when no server is there, after a death; null when there is one, and before the first. */
  readonly awaySinceMs: number | null;
  readonly restartTimes: readonly number[];
  readonly isPaused: boolean;
  /** Since when there is no room for the journal; null when there is. */
  readonly fullSinceMs: number | null;
  /** The journal can take no more rows. */
  readonly isJournalBroken: boolean;
  /** `run.opened` is committed. */
  readonly isOpen: boolean;
  readonly ending: Ending | null;
  /** `closing`: the row of the run's end is on its way. `closed`: the manager lets go of the run. */
  readonly closing: 'no' | 'closing' | 'closed';
  /** Rows that wait for the ones before them. */
  readonly outbox: readonly JournalEvent[];
  /** Rows that the host commits now. */
  readonly committing: { readonly batch: number; readonly events: readonly JournalEvent[] } | null;
  readonly batches: number;
  /** Told to the host with this event, in this order. */
  readonly effects: readonly RunEffect[];
}

/** Counts over tasks, never over attempts. `total` is the sum of `outcomes`, `skipped` and `notStarted`. */
export interface RunCounts {
  readonly total: number;
  /** By the outcome of the newest attempt. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  readonly skipped: number;
  readonly notStarted: number;
  /** Of the succeeded ones: before this manager. */
  readonly reused: number;
  /** Apart: tasks that the source names no more. */
  readonly dropped: number;
  /** Of the succeeded ones: without an attempt that took of the task's own tries. */
  readonly succeededFirstTry: number;
  readonly succeededAfterRetry: number;
}

/** Which timer: a task's next attempt, the quota of a provider, another try to commit, the time that a full storage has, or a server that is away since then. */
export type RunTimer =
  | { readonly name: 'attempt'; readonly key: string }
  | { readonly name: 'provider'; readonly id: string }
  | { readonly name: 'storage.retry' }
  | { readonly name: 'storage.deadline' }
  | { readonly name: 'run.deadline' }
  | { readonly name: 'server.deadline'; readonly sinceMs: number };

/** How a task's attempt, or a task, ended; told after its row was committed. */
export type ToldEnd =
  | {
      readonly type: 'attempt';
      readonly key: string;
      readonly attempt: number;
      readonly outcome: Outcome;
      /** No further attempt follows, as things stand. */
      readonly final: boolean;
      readonly result: TaskResult;
      /** Its task goes on later, in its session and in its place. */
      readonly isParked?: true;
    }
  | { readonly type: 'skipped'; readonly key: string; readonly blockedBy: string };

/** What the run has the host do. */
export type RunEffect =
  /** Append these rows in one transaction, and report `journal.committed` or `journal.failed`. One batch at a time. */
  | { readonly type: 'commit'; readonly params: { readonly batch: number; readonly events: readonly JournalEvent[] } }
  /**
   * Make place and session of an attempt, and report `attempt.intended`, or `attempt.ended` when that failed. Nothing is sent yet. With
   * `goesOn` the attempt goes on in this session, with a prompt of its own. `fallback`: the model that it runs with, in place of its own.
   */
  | {
      readonly type: 'start';
      readonly params: {
        readonly key: string;
        readonly attempt: number;
        readonly token: string;
        readonly goesOn: OpenAttempt | null;
        readonly fallback: string | null;
      };
    }
  /** Read the session of an attempt that was in flight when a manager died, and report `attempt.looked`. */
  | { readonly type: 'look'; readonly params: { readonly key: string; readonly open: OpenAttempt; readonly fallback: string | null } }
  /** Send the prompt: the row of its intent is committed. Then `attempt.accepted` and `attempt.ended` follow. */
  | { readonly type: 'allowSend'; readonly params: { readonly key: string; readonly attempt: number; readonly token: string } }
  /** Its answer does not fit: make a further prompt that says so, in the same session, and report `attempt.intended` for it. */
  | { readonly type: 'repair'; readonly params: { readonly key: string; readonly token: string; readonly problems: readonly string[] } }
  /** No further prompt follows: the attempt ends with its answer, or with this error. `attempt.ended` follows. */
  | {
      readonly type: 'takeAnswer';
      readonly params: { readonly key: string; readonly token: string; readonly error: SerializedError | null };
    }
  /** End the attempt, whatever it does; it must end within a bounded time. `attempt.ended` follows, or `attempt.looked` of one that is read. */
  | { readonly type: 'abort'; readonly params: { readonly key: string; readonly token: string; readonly reason: string } }
  /** Report `timer.fired` after this time. A timer that fires late or for nothing does no harm. */
  | { readonly type: 'schedule'; readonly params: { readonly timer: RunTimer; readonly delayMs: number } }
  /** Start the server again after this time, and report `server.ready`, `server.died` or `server.gone`. */
  | { readonly type: 'restartServer'; readonly params: { readonly delayMs: number } }
  /** A limit of the run comes near. Once for each. */
  | { readonly type: 'warn'; readonly params: { readonly name: keyof Taken; readonly limit: number; readonly spent: number } }
  /** An end that is committed: it may be told to anybody. */
  | { readonly type: 'told'; readonly params: ToldEnd }
  /** The run is over. With `isCommitted` false the row of its end could not be written. */
  | {
      readonly type: 'ended';
      readonly params: {
        readonly reason: RunEnded['reason'];
        readonly why: string | null;
        readonly counts: RunCounts;
        readonly isCommitted: boolean;
      };
    };

interface At {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Whose attempt a fact is about. */
interface OfAttempt {
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
}

/** How an attempt ended. `jitter` is in [-1, 1]. */
export interface AttemptEnd extends At {
  readonly outcome: Outcome;
  readonly error: SerializedError | null;
  readonly result: TaskResult;
  /** Whether its prompt was sent, so that it may have cost something. */
  readonly billed: boolean;
  readonly limit?: ReachedLimit;
  /** It failed of what all attempts stand on: a full disk, no descriptors left. */
  readonly isMachineFault?: boolean;
  /** The deadline of its task in milliseconds; absent without one. */
  readonly timeoutMs?: number;
  readonly jitter: number;
}

/** Everything the run machine reacts to. */
export type RunMachineEvent =
  /** The first event. */
  | ({ readonly type: 'run.open' } & At)
  /** No attempt starts until `run.resume`. */
  | { readonly type: 'run.pause' }
  | { readonly type: 'run.resume' }
  /** No attempt starts any more. */
  | { readonly type: 'run.drain' }
  /** What is in flight is aborted: a signal, or the wish of the run's owner. Its tasks run again when the run is resumed. */
  | { readonly type: 'run.abort'; readonly reason: string }
  /** `enforce`: one that is lowered below what is spent ends what runs. */
  | ({ readonly type: 'limits.changed'; readonly limits: Partial<RunLimits>; readonly enforce: boolean } & At)
  /** More attempts start at once. With fewer none is aborted unless `enforces`: then the newest are, and their tasks run again. */
  | { readonly type: 'concurrency.changed'; readonly concurrency: number; readonly enforces?: boolean }
  /** What the pool allows of a provider: attempts at once, and until when none begins. */
  | { readonly type: 'provider.changed'; readonly provider: string; readonly limit: number; readonly heldUntilMs: number | null }
  /** No attempt that asks this provider starts until a user resumes it. */
  | { readonly type: 'provider.paused'; readonly provider: string }
  /** A user lets it go on, whatever held it back: a pause of a user, of the provider, or its quota. */
  | ({ readonly type: 'provider.resumed'; readonly provider: string } & At)
  /** A user wants no more of a task. What is in flight is aborted; it does not run again by itself, nor when the run is resumed. */
  | { readonly type: 'task.cancelled'; readonly key: string; readonly reason: string }
  /** A task that has come to its end without success, or with `force` with it, is tried again, and what was skipped because of it. */
  | { readonly type: 'task.requeued'; readonly key: string; readonly force?: boolean }
  /** Session and place are there: the prompt is sent as soon as `allowSend` comes. */
  | ({ readonly type: 'attempt.intended'; readonly sessionId: string; readonly messageId: string; readonly directory: string } & OfAttempt)
  | ({ readonly type: 'attempt.accepted' } & OfAttempt)
  /** A step of it has ended: what it has taken so far. `isLast`: its turn has come to its end with that step. */
  | ({ readonly type: 'attempt.spent'; readonly isLast: boolean } & OfAttempt & Taken)
  /** A turn of an attempt with an output schema has ended well. What is wrong with its answer, if anything; what its turns have taken so far. */
  | ({ readonly type: 'attempt.answered'; readonly problems: readonly string[]; readonly spent: Spent } & OfAttempt)
  | ({ readonly type: 'attempt.ended' } & OfAttempt & AttemptEnd)
  /**
   * What became of an attempt whose manager died. `finished`: `end` says how it ended by itself. `interrupted`: it broke off.
   * `never_started`: its session has no such message. The result in `end` is what the session holds. `unread`: the session could not be read,
   * and `end` says why. `problems`: what is wrong with the answer of one that has succeeded, with an output schema.
   */
  | ({
      readonly type: 'attempt.looked';
      readonly fate: 'finished' | 'interrupted' | 'never_started' | 'unread';
      readonly end: AttemptEnd;
      readonly problems?: readonly string[];
    } & OfAttempt)
  | ({ readonly type: 'journal.committed'; readonly batch: number } & At)
  /** Nothing of the batch was kept. `RUN_STORAGE_FULL`: it is tried again. Any other error ends the run. */
  | ({ readonly type: 'journal.failed'; readonly batch: number; readonly error: SerializedError } & At)
  /** The host found that nothing more can be written, or that it can again. */
  | ({ readonly type: 'storage.full' } & At)
  | ({ readonly type: 'storage.free' } & At)
  | ({ readonly type: 'server.ready' } & At)
  /** Reported before the ends that it brings. */
  | ({ readonly type: 'server.died'; readonly error: SerializedError } & At)
  /** The server cannot be started. */
  | ({ readonly type: 'server.gone'; readonly error: SerializedError } & At)
  | ({ readonly type: 'timer.fired'; readonly timer: RunTimer } & At);

export type EventOf<Type extends RunMachineEvent['type']> = Extract<RunMachineEvent, { type: Type }>;
