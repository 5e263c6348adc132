import type {
  AttemptEnded,
  AttemptIntended,
  AttemptRepairing,
  JournalEvent,
  TaskCancelled,
  TaskRequeued,
  TaskSkipped,
} from '../journal/events.ts';
import { close, endRun, haveEnded, noteFailure, noteSetup } from './run-ending.ts';
import { settleSpent } from './run-budget.ts';
import { runOverdue } from './run-clock.ts';
import { providerOf } from './provider-gates.ts';
import { holdAccount, quotaDue } from './run-providers.ts';
import { serverOverdue } from './run-server.ts';
import { changeFlight, endFlight, flightOf, move, placeWaiting, releaseDependents, taskOf, tell } from './run-tasks.ts';
import type { EventOf, RunContext, RunTask } from './run.types.ts';
import { applyEvent } from './task-record.ts';
import { entries, replace } from './task-table.ts';

/** While the storage is full, rows are offered to it at this interval (milliseconds). */
const storageRetryMs = 1000;

/** What the journal's port throws when there is no room. */
const storageFullCode: string = 'RUN_STORAGE_FULL';

/**
 * Has the host commit what waits, one batch at a time: rows are in the journal in the order in which they were written. While the storage
 * is full only a timer offers them again, and the end of the run.
 */
export function flush(context: RunContext): RunContext {
  return context.fullSinceMs === null || isLastTry(context) ? commit(context) : context;
}

/** A full storage ends the run, and all ends are known: what waits is offered once more. */
function isLastTry(context: RunContext): boolean {
  return context.ending?.reason === 'storage_full' && haveEnded(context);
}

function commit(context: RunContext): RunContext {
  const { outbox: events, committing, isJournalBroken, closing } = context;
  if (!events.some(isAwaited) || committing || isJournalBroken || closing === 'closed') return context;
  const batch = context.batches + 1;
  return tell({ ...context, outbox: [], committing: { batch, events }, batches: batch }, { type: 'commit', params: { batch, events } });
}

/** Whether something waits for the commit of a row. For that of an accepted prompt nothing does: it goes with the next one. */
function isAwaited({ type }: JournalEvent): boolean {
  return type !== 'attempt.accepted';
}

/** The rows of a batch are in the journal: now they are true, and what waited for them happens. */
export function committed(context: RunContext, { batch, atMs }: EventOf<'journal.committed'>): RunContext {
  const { committing } = context;
  if (committing?.batch !== batch) return context;
  const written = { ...context, committing: null, fullSinceMs: null };
  return committing.events.reduce((next, event) => afterCommit(next, event, atMs), written as RunContext);
}

function afterCommit(context: RunContext, event: JournalEvent, atMs: number): RunContext {
  switch (event.type) {
    case 'run.opened':
      return open(context, atMs);
    case 'attempt.intended':
    case 'attempt.repairing':
      return send(context, event);
    case 'attempt.accepted':
      return { ...context, tasks: replace(context.tasks, applyEvent(taskOf(context, event.key), event)) };
    case 'attempt.ended':
      return afterEnd(context, event, atMs);
    case 'task.skipped':
      return skip(context, event, atMs);
    case 'task.cancelled':
      return afterCancel(context, event, atMs);
    case 'task.requeued':
      return afterRequeue(context, event, atMs);
    case 'run.ended':
      return close(context, true);
    default:
      // Rows of the opening: the plan holds the tasks as they are after them. What is superseded changes nothing.
      return context;
  }
}

/** The run has its manager: each task takes its place. */
function open(context: RunContext, atMs: number): RunContext {
  return entries(context.tasks)
    .filter(({ place }) => place === 'blocked')
    .toSorted((a, b) => a.order - b.order)
    .reduce((next, { key }) => holdParked(placeWaiting(next, taskOf(next, key), atMs), key, atMs), {
      ...context,
      isOpen: true,
    } as RunContext);
}

/** Of a task that an earlier manager has parked: its account has no quota yet. */
function holdParked(context: RunContext, key: string, atMs: number): RunContext {
  const { place, provider, fallback, notBeforeMs } = taskOf(context, key);
  if (place !== 'parked' || notBeforeMs === null) return context;
  return holdAccount(context, fallback === null ? provider : providerOf(fallback), notBeforeMs, atMs);
}

/** The intent is committed, so its prompt may go out, unless its attempt has ended or is to end. */
function send(context: RunContext, event: AttemptIntended | AttemptRepairing): RunContext {
  const { key, attempt, token } = event;
  const known = { ...context, tasks: replace(context.tasks, applyEvent(taskOf(context, key), event)) };
  const flight = flightOf(known, key);
  if (flight?.token !== token || flight.phase !== 'intending' || flight.abort) return known;
  return tell(changeFlight(known, { ...flight, phase: 'sending' }), { type: 'allowSend', params: { key, attempt, token } });
}

/** The end is committed, so it may be told. The slot is free, and the task settled, or tried again. */
function afterEnd(context: RunContext, event: AttemptEnded, atMs: number): RunContext {
  const { key, attempt, outcome, final, result } = event;
  const before = taskOf(context, key).end?.taken;
  const task = applyEvent(taskOf(context, key), event);
  const next = flightOf(context, key)?.next ?? null;
  const isParked = next?.place === 'parked' && { isParked: true as const };
  const told = tell(endFlight(context, key), {
    type: 'told',
    params: { type: 'attempt', key, attempt, outcome, final, result, ...isParked },
  });
  const noted = noteFailure(noteSetup(settleSpent(told, event, before), event), event);
  if (final || task.isCancelled) return releaseDependents(move(noted, task, 'settled'), key, atMs);
  if (!next) return placeWaiting(noted, { ...task, notBeforeMs: null }, atMs);
  const waits = { ...task, notBeforeMs: isParked ? atMs + next.inMs : null };
  return tell(move(noted, waits, next.place), { type: 'schedule', params: { timer: { name: 'attempt', key }, delayMs: next.inMs } });
}

function skip(context: RunContext, event: TaskSkipped, atMs: number): RunContext {
  const { key, blockedBy } = event;
  const settled = move(context, applyEvent(taskOf(context, key), event), 'settled');
  return releaseDependents(tell(settled, { type: 'told', params: { type: 'skipped', key, blockedBy } }), key, atMs);
}

/** What is in flight, or is to be read, comes to its end first. */
function afterCancel(context: RunContext, event: TaskCancelled, atMs: number): RunContext {
  const task = applyEvent(taskOf(context, event.key), event);
  const known = { ...context, tasks: replace(context.tasks, task) };
  return task.place === 'skipping' ? placeWaiting(known, task, atMs) : known;
}

function afterRequeue(context: RunContext, event: TaskRequeued, atMs: number): RunContext {
  const task = applyEvent(taskOf(context, event.key), event);
  return placeWaiting(context, { ...task, isReused: false, unread: 0, notBeforeMs: null }, atMs);
}

/** Nothing of a batch was kept: its rows come first again. */
export function notCommitted(context: RunContext, { batch, error, atMs }: EventOf<'journal.failed'>): RunContext {
  const { committing, outbox } = context;
  if (committing?.batch !== batch) return context;
  const back = { ...context, committing: null, outbox: [...committing.events, ...outbox] };
  if (error.code !== storageFullCode) {
    const why = `The journal cannot be written: ${error.message}`;
    return endRun({ ...back, isJournalBroken: true }, { reason: 'failed', aborts: true, why });
  }
  if (isLastTry(back)) return close(back, false);
  return tell(noteFull(back, { atMs }), { type: 'schedule', params: { timer: { name: 'storage.retry' }, delayMs: storageRetryMs } });
}

/** There is no room: nothing starts, and the run ends if that lasts. */
export function noteFull(context: RunContext, { atMs }: { readonly atMs: number }): RunContext {
  if (context.fullSinceMs !== null) return context;
  const delayMs = context.settings.storageTimeoutMs;
  return tell({ ...context, fullSinceMs: atMs }, { type: 'schedule', params: { timer: { name: 'storage.deadline' }, delayMs } });
}

export function noteFree(context: RunContext): RunContext {
  return { ...context, fullSinceMs: null };
}

/** Something that was scheduled is due, if it still is. */
export function timerFired(context: RunContext, { timer, atMs }: EventOf<'timer.fired'>): RunContext {
  if (timer.name === 'storage.retry') return commit(context);
  if (timer.name === 'storage.deadline') return endFullStorage(context, atMs);
  if (timer.name === 'run.deadline') return runOverdue(context, atMs);
  if (timer.name === 'provider') return quotaDue(context, timer.id, atMs);
  if (timer.name === 'server.deadline') return serverOverdue(context, timer.sinceMs);
  const task: RunTask = taskOf(context, timer.key);
  const isDue = task.place === 'delayed' || task.place === 'parked';
  return isDue ? placeWaiting(context, { ...task, notBeforeMs: null }, atMs) : context;
}

function endFullStorage(context: RunContext, atMs: number): RunContext {
  const { fullSinceMs, settings } = context;
  if (fullSinceMs === null) return context;
  const leftMs = fullSinceMs + settings.storageTimeoutMs - atMs;
  // A timer may fire a moment early, and one of an earlier time is still to fire.
  if (leftMs > 0) return tell(context, { type: 'schedule', params: { timer: { name: 'storage.deadline' }, delayMs: Math.ceil(leftMs) } });
  const why = `There was no room for the journal for ${settings.storageTimeoutMs} ms. Make room, and resume the run.`;
  return endRun(context, { reason: 'storage_full', aborts: true, why });
}
