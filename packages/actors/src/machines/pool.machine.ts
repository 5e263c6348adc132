import { assign, setup } from 'xstate';
import { emptySet, get } from './bucket-set.ts';
import { noHold } from './infrastructure-hold.ts';
import { endAttempt, endPauses, judge, nextPauseEnd, pause, restart } from './pool-attempts.ts';
import {
  abortAll,
  abortChange,
  abortedBy,
  assignSlots,
  endAllWaiting,
  endAll,
  endLine,
  endSession,
  endTask,
  endWaiting,
  fresh,
  isEmpty,
  leaveLine,
  markAborted,
  overdue,
  poolStopped,
  queueTask,
  releaseSession,
  resumeHeld,
  type EventOf,
} from './pool-schedule.ts';
import type { AbortedTask, Assignment, EndedTask, PoolContext, PoolInput, PoolMachineEvent, RestartLimits } from './pool.types.ts';
import { resizeGates } from './provider-gate.ts';
import { emptyLanes } from './task-lanes.ts';
import { failure } from './turn-verdict.ts';

/** Restarts that a pool allows: three within a minute. */
export const defaultRestartLimits: RestartLimits = { maxRestarts: 3, windowMs: 60_000, backoffMs: [100, 500, 2000] };

/** Within this time the aborts of a stop end a turn, or leave its session quarantined (milliseconds). */
const stopAbortMs = 10_000;

type AttemptEnd = EventOf<'turn.ended'> | EventOf<'attempt.failed'>;

const types = {} as { context: PoolContext; events: PoolMachineEvent; input: PoolInput };

/** An action's change of what the pool remembers, and free slots go round; what it tells the host begins anew with each. */
function changing<Type extends PoolMachineEvent['type']>(change: (context: PoolContext, event: EventOf<Type>) => PoolContext) {
  return ({ context, event }: { readonly context: PoolContext; readonly event: PoolMachineEvent }): PoolContext =>
    assignSlots(change(fresh(context), event as EventOf<Type>));
}

const machineSetup = setup({
  types,
  actions: {
    // Effects: the host provides them. Alone, the machine is pure.
    startAssigned: (_args, _params: { readonly assigned: readonly Assignment[] }) => {},
    endTasks: (_args, _params: { readonly ended: readonly EndedTask[] }) => {},
    abortTurns: (_args, _params: { readonly aborting: readonly AbortedTask[]; readonly withinMs?: number }) => {},
    takeBack: (_args, _params: { readonly sessionIds: readonly string[] }) => {},
    forbidRestarts: () => {},
    // Changes.
    beginWork: assign(changing<'pool.ready'>((context) => ({ ...context, server: 'here' }))),
    queueTask: assign(changing<'task.queued'>(queueTask)),
    refuseTask: assign(
      changing<'task.queued'>((context, place) => {
        const task = { ...place, order: 0, attempts: 0, interruptions: 0 };
        return endTask(context, task, context.error ? { outcome: 'server_lost', error: context.error } : poolStopped(task));
      }),
    ),
    cancelTask: assign(
      changing<'task.cancelled'>((context, event) => {
        const reason = event.reason ?? 'The caller aborted the task.';
        const endOf = abortedBy(reason);
        return endWaiting(context, event, endOf) ?? abortChange(context, event, endOf) ?? markAborted(context, event.taskId, reason);
      }),
    ),
    endOverdue: assign(
      changing<'task.overdue'>((context, event) => {
        const endOf = overdue(event.timeoutMs);
        return endWaiting(context, event, endOf) ?? abortChange(context, event, endOf) ?? context;
      }),
    ),
    endAttempt: assign(changing<AttemptEnd['type']>(endAttempt)),
    judge: assign(changing<'turn.judged'>(judge)),
    restart: assign(changing<'retry.due'>((context, { taskId }) => restart(context, taskId))),
    endChange: assign(changing<'change.ended'>(leaveLine)),
    releaseSession: assign(changing<'session.released'>((context, { sessionId }) => releaseSession(context, sessionId))),
    endSession: assign(changing<'session.ended'>((context, { sessionId, reason }) => endSession(context, sessionId, reason))),
    endLine: assign(changing<'session.died'>((context, { sessionId }) => endLine(context, sessionId, sessionDead))),
    pause: assign(
      changing<'provider.paused'>((context, event) => pause(context, event.provider ?? providerOf(context, event.taskId), event)),
    ),
    endPauses: assign(changing<'hold.over'>((context, { atMs }) => endPauses(context, atMs))),
    loseServer: assign({ server: 'away' }),
    resumeHeld: assign(
      changing<'server.recovered'>((context, { generation = context.generation + 1 }) =>
        resumeHeld({ ...context, generation, server: 'here' }),
      ),
    ),
    noteGeneration: assign(({ event }) => ({ generation: (event as EventOf<'server.rotated'>).generation })),
    changeSlots: assign(
      changing<'slots.changed'>((context, { maxSessions }) => ({
        ...context,
        maxSessions,
        providers: resizeGates(context.providers, context.maxSessions, maxSessions),
      })),
    ),
    rememberDrain: assign({ draining: true }),
    stopWork: assign(
      changing<'pool.stop'>((context) =>
        abortAll(endAllWaiting({ ...context, stopping: true }, poolStopped), 'The pool was stopped.', poolStopped),
      ),
    ),
    endUnconfirmed: assign(changing<'stop.overdue'>((context) => endAll(context, { outcome: 'aborted', error: abortUnconfirmed() }))),
    giveServerUp: assign(
      changing<'server.exited'>((context, { error }) =>
        endAllWaiting({ ...context, error, server: 'gone' }, () => ({ outcome: 'server_lost', error })),
      ),
    ),
  },
  guards: {
    takesWork: ({ context: { draining, stopping, server } }) => !draining && !stopping && server !== 'gone',
    isDraining: ({ context }) => context.draining,
    isStopping: ({ context }) => context.stopping,
    isEmpty: ({ context }) => isEmpty(context),
  },
  delays: {},
});

function providerOf({ holders }: PoolContext, taskId: string | undefined): string | null {
  return (taskId === undefined ? undefined : get(holders, taskId)?.provider) ?? null;
}

const sessionDead = () =>
  ({ outcome: 'interrupted', error: failure('SESSION_ACTOR_FAILED', 'The session of the task is dead. Nothing was sent.') }) as const;

function abortUnconfirmed() {
  return failure('ABORT_UNCONFIRMED', `The pool was stopped, and no end of the turn was confirmed within ${stopAbortMs} ms.`);
}

/** Tells the host what the event brought, and nothing when it brought nothing. One timer for all pauses stands at the end of the first. */
const tellAction = machineSetup.enqueueActions(({ context, event, enqueue }) => {
  const { assigned, ended, aborting, returned } = context;
  if (ended.length > 0) enqueue({ type: 'endTasks', params: { ended } });
  for (const { taskId } of ended) enqueue.cancel(`overdue ${taskId}`);
  if (event.type === 'change.ended') enqueue.cancel(`overdue ${event.taskId}`);
  if (returned.length > 0) enqueue({ type: 'takeBack', params: { sessionIds: returned } });
  const withinMs = event.type === 'pool.stop' ? stopAbortMs : 'withinMs' in event ? event.withinMs : undefined;
  const within = withinMs === undefined ? {} : { withinMs };
  if (aborting.length > 0) enqueue({ type: 'abortTurns', params: { aborting, ...within } });
  if (assigned.length > 0) enqueue({ type: 'startAssigned', params: { assigned } });
  if (!('atMs' in event)) return;
  const untilMs = nextPauseEnd(context);
  enqueue.cancel('hold.over');
  if (untilMs !== null) enqueue.raise({ type: 'hold.over', atMs: untilMs }, { id: 'hold.over', delay: Math.max(0, untilMs - event.atMs) });
});

/** For a task that is tried again after a wait. */
const scheduleRetryAction = machineSetup.enqueueActions(({ context: { retrying, retryDelayMs }, event, enqueue }) => {
  const { taskId } = event as AttemptEnd;
  if (retrying.some((task) => task.taskId === taskId)) enqueue.raise({ type: 'retry.due', taskId }, { delay: retryDelayMs });
});

const scheduleOverdueAction = machineSetup.enqueueActions(({ event, enqueue }) => {
  const { taskId, timeoutMs, priority, group, sessionId } = event as EventOf<'task.queued'>;
  if (timeoutMs === undefined) return;
  const due = { type: 'task.overdue', timeoutMs, taskId, priority, group, ...(sessionId !== undefined && { sessionId }) } as const;
  enqueue.raise(due, { id: `overdue ${taskId}`, delay: timeoutMs });
});

const scheduleStopEndAction = machineSetup.enqueueActions(({ enqueue }) => {
  enqueue.cancel('stop.overdue');
  enqueue.raise({ type: 'stop.overdue' }, { id: 'stop.overdue', delay: stopAbortMs + 1000 });
});

const poolSetup = machineSetup.extend({
  actions: {
    tell: tellAction,
    scheduleRetry: scheduleRetryAction,
    scheduleOverdue: scheduleOverdueAction,
    scheduleStopEnd: scheduleStopEndAction,
  },
});

const lost = { target: 'failed', actions: ['giveServerUp', 'tell'] } as const;
const away = {
  target: 'recovering',
  actions: 'loseServer',
  description: 'Another server on the same state, after a wait.',
} as const;

/**
 * Decides which task gets a slot when, and what becomes of it: lanes by priority, groups in turn within a lane, first in, first
 * out within a group, one task at a time of a leased session. A slot is freed by the end of the attempt that held it, and by
 * nothing else. Pure: effects (`startAssigned`, `endTasks`, `abortTurns`, `takeBack`, `forbidRestarts`) are no-ops until a host
 * provides them; each gets what it needs as parameters. An event costs about 200 copied references with 10,000 tasks waiting and
 * 500 slots in use.
 *
 * @example
 * const actor = createActor(poolMachine, { input: { maxSessions: 6 } }).start()
 * actor.send({ type: 'pool.ready' })
 * actor.send({ type: 'task.queued', taskId: 't1', priority: 0, group: '' })
 * actor.getSnapshot().context.assigned // [{ taskId: 't1', step: 'begin', attempt: 1 }]
 * @public
 */
export const poolMachine = poolSetup.createMachine({
  id: 'pool',
  description: 'Hands slots to tasks, and decides what becomes of them.',
  context: ({ input }) => ({
    maxSessions: input.maxSessions ?? 6,
    restartLimits: { ...defaultRestartLimits, ...input.restartLimits },
    retriesInterrupted: input.retriesInterrupted ?? true,
    repeats: input.repeats ?? true,
    longestPauseMs: input.longestPauseMs ?? 120_000,
    generation: 1,
    server: 'away',
    providers: [],
    infrastructure: noHold,
    waiting: emptyLanes,
    queued: 0,
    nextOrder: 1,
    lines: {},
    releasing: [],
    holders: emptySet,
    active: 0,
    finished: 0,
    outcomes: {},
    restarts: 0,
    restartTimes: [],
    retrying: [],
    retryDelayMs: 0,
    draining: false,
    stopping: false,
    assigned: [],
    ended: [],
    aborting: [],
    returned: [],
    error: null,
  }),
  initial: 'starting',
  on: {
    'task.queued': [
      { guard: 'takesWork', actions: ['queueTask', 'scheduleOverdue', 'tell'] },
      { actions: ['refuseTask', 'tell'], description: 'No new tasks any more.' },
    ],
    'task.cancelled': { actions: ['cancelTask', 'tell'] },
    'task.overdue': { actions: ['endOverdue', 'tell'] },
    'turn.ended': { actions: ['endAttempt', 'scheduleRetry', 'tell'] },
    'attempt.failed': { actions: ['endAttempt', 'scheduleRetry', 'tell'] },
    'turn.judged': { actions: ['judge', 'tell'] },
    'retry.due': { actions: ['restart', 'tell'] },
    'change.ended': { actions: ['endChange', 'tell'] },
    'session.released': { actions: ['releaseSession', 'tell'] },
    'session.ended': { actions: ['endSession', 'tell'] },
    'session.died': { actions: ['endLine', 'tell'] },
    'provider.paused': { actions: ['pause', 'tell'], description: 'No new turns of the provider until it is ready.' },
    'hold.over': { actions: ['endPauses', 'tell'] },
    'server.rotated': { actions: 'noteGeneration' },
    'slots.changed': { actions: ['changeSlots', 'tell'], description: 'More begin at once; fewer end nothing.' },
    'pool.drain': { actions: 'rememberDrain' },
    'pool.stop': { target: '.draining', actions: ['stopWork', 'forbidRestarts', 'scheduleStopEnd', 'tell'] },
    'stop.overdue': { actions: ['endUnconfirmed', 'tell'], description: 'No abort takes longer.' },
  },
  states: {
    starting: {
      description: 'Server and event stream come up; tasks may queue.',
      on: { 'pool.ready': { target: 'running', actions: ['beginWork', 'tell'] } },
    },
    running: {
      description: 'Takes tasks and runs them.',
      always: { guard: 'isDraining', target: 'draining' },
      on: { 'server.away': away, 'server.exited': lost },
    },
    recovering: {
      description: 'The server was lost and is started again; tasks wait, those in flight keep their slots.',
      on: { 'server.recovered': { target: 'running', actions: ['resumeHeld', 'tell'] }, 'server.exited': lost },
    },
    draining: {
      description: 'Takes no new tasks; what is there goes on, or is being aborted after a stop.',
      always: { guard: 'isEmpty', target: 'stopped' },
      on: { 'server.away': away, 'server.exited': [{ guard: 'isStopping', description: 'It is to end anyway.' }, lost] },
    },
    stopped: { description: 'All is done, all slots are free.' },
    failed: { description: 'The server is gone; every task ends as server_lost.' },
  },
});
