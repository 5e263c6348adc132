import { assign, setup } from 'xstate';
import { emptySet, get, members } from './bucket-set.ts';
import { noHold } from './infrastructure-hold.ts';
import {
  consequenceOf,
  endAttempt,
  endPauses,
  giveUp,
  goOnElsewhere,
  judge,
  mayRestart,
  nextPauseEnd,
  pause,
  planRestart,
  putBack,
  restart,
  type ServerPresence,
} from './pool-attempts.ts';
import {
  abortedBy,
  assignSlots,
  endAllWaiting,
  endHolder,
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
import { emptyLanes } from './task-lanes.ts';
import { failure } from './turn-verdict.ts';

/** Restarts that a pool allows: three within a minute. */
export const defaultRestartLimits: RestartLimits = { maxRestarts: 3, windowMs: 60_000, backoffMs: [100, 500, 2000] };

/** Within this time the aborts of a stop end a turn, or leave its session quarantined (milliseconds). */
const stopAbortMs = 10_000;

type AttemptEnd = EventOf<'turn.ended'> | EventOf<'attempt.failed'>;

const types = {} as { context: PoolContext; events: PoolMachineEvent; input: PoolInput };

/** An action's change of what the pool remembers; what it tells the host begins anew with each. */
function changing<Type extends PoolMachineEvent['type']>(change: (context: PoolContext, event: EventOf<Type>) => PoolContext) {
  return ({ context, event }: { readonly context: PoolContext; readonly event: PoolMachineEvent }): PoolContext =>
    change(fresh(context), event as EventOf<Type>);
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
    assignSlots: assign(({ context }) => assignSlots(context)),
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
        return endWaiting(context, event, abortedBy(reason)) ?? markAborted(context, event.taskId, reason);
      }),
    ),
    endOverdue: assign(changing<'task.overdue'>((context, event) => endWaiting(context, event, overdue(event.timeoutMs)) ?? context)),
    endAttempt: assign(changing<AttemptEnd['type']>(endAttempt)),
    planRestart: assign(changing<AttemptEnd['type']>(planRestart)),
    giveUp: assign(changing<AttemptEnd['type']>(giveUp)),
    putBack: assign(changing<AttemptEnd['type']>(putBack)),
    goOnElsewhere: assign(({ context, event }, { presence }: { presence: ServerPresence }) =>
      goOnElsewhere(fresh(context), event as AttemptEnd, presence),
    ),
    judge: assign(({ context, event }, { presence }: { presence: ServerPresence }) =>
      judge(fresh(context), event as EventOf<'turn.judged'>, presence),
    ),
    restart: assign(changing<'retry.due'>((context, { taskId }) => restart(context, taskId))),
    endChange: assign(changing<'change.ended'>(leaveLine)),
    releaseSession: assign(changing<'session.released'>((context, { sessionId }) => releaseSession(context, sessionId))),
    endSession: assign(changing<'session.ended'>((context, { sessionId, reason }) => endSession(context, sessionId, reason))),
    endLine: assign(changing<'session.died'>((context, { sessionId }) => endLine(context, sessionId, sessionDead))),
    pause: assign(
      changing<'provider.paused'>((context, event) => pause(context, event.provider ?? providerOf(context, event.taskId), event)),
    ),
    endPauses: assign(changing<'hold.over'>((context, { atMs }) => endPauses(context, atMs))),
    resumeHeld: assign(
      changing<'server.recovered'>((context, { generation = context.generation + 1 }) => resumeHeld({ ...context, generation })),
    ),
    noteGeneration: assign(changing<'server.rotated'>((context, { generation }) => ({ ...context, generation }))),
    rememberDrain: assign({ draining: true }),
    stopWork: assign(
      changing<'pool.stop'>((context) => {
        const ended = endAllWaiting({ ...context, stopping: true }, poolStopped);
        return members(ended.holders).reduce((next, { taskId }) => markAborted(next, taskId, 'The pool was stopped.'), ended);
      }),
    ),
    endUnconfirmed: assign(
      changing<'stop.overdue'>((context) =>
        members(context.holders).reduce(
          (next, holder) => endHolder(next, holder, { outcome: 'aborted', error: abortUnconfirmed() }),
          context,
        ),
      ),
    ),
    loseServer: assign(
      changing<'server.exited'>((context, { error }) => endAllWaiting({ ...context, error }, () => ({ outcome: 'server_lost', error }))),
    ),
  },
  guards: {
    lost: ({ context, event }) => consequenceOf({ context, event: event as AttemptEnd }) === 'lost',
    isFault: ({ context, event }) => consequenceOf({ context, event: event as AttemptEnd }) === 'fault',
    crashed: ({ context, event }) => consequenceOf({ context, event: event as AttemptEnd }) === 'crashed',
    mayRestart: ({ context, event }) =>
      consequenceOf({ context, event: event as AttemptEnd }) === 'crashed' && mayRestart(context, (event as AttemptEnd).atMs),
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

/** Tells the host what the event brought, and nothing when it brought nothing. */
const tellAction = machineSetup.enqueueActions(({ context, event, enqueue }) => {
  const { assigned, ended, aborting, returned } = context;
  if (ended.length > 0) enqueue({ type: 'endTasks', params: { ended } });
  for (const { taskId } of ended) enqueue.cancel(`overdue ${taskId}`);
  if (returned.length > 0) enqueue({ type: 'takeBack', params: { sessionIds: returned } });
  const withinMs = event.type === 'pool.stop' ? stopAbortMs : 'withinMs' in event ? event.withinMs : undefined;
  const within = withinMs === undefined ? {} : { withinMs };
  if (aborting.length > 0) enqueue({ type: 'abortTurns', params: { aborting, ...within } });
  if (assigned.length > 0) enqueue({ type: 'startAssigned', params: { assigned } });
});

/** One timer for all pauses: it stands at the end of the first. */
const scheduleHoldEndAction = machineSetup.enqueueActions(({ context, event, enqueue }) => {
  const untilMs = nextPauseEnd(context);
  enqueue.cancel('hold.over');
  if (untilMs === null || !('atMs' in event)) return;
  enqueue.raise({ type: 'hold.over', atMs: untilMs }, { id: 'hold.over', delay: Math.max(0, untilMs - event.atMs) });
});

const scheduleRetryAction = machineSetup.enqueueActions(({ context, event, enqueue }) =>
  enqueue.raise({ type: 'retry.due', taskId: (event as AttemptEnd).taskId }, { delay: context.retryDelayMs }),
);

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
    scheduleHoldEnd: scheduleHoldEndAction,
    scheduleRetry: scheduleRetryAction,
    scheduleOverdue: scheduleOverdueAction,
    scheduleStopEnd: scheduleStopEndAction,
  },
});

/** What becomes of attempts, while the server is here, away, or gone. Slots go round only while it is here. */
const attempts = (presence: ServerPresence) => {
  const after = presence === 'here' ? (['assignSlots', 'tell'] as const) : (['tell'] as const);
  const elsewhere = { type: 'goOnElsewhere', params: { presence } } as const;
  const ends = [
    { guard: 'lost', actions: [elsewhere, 'tell'], description: 'Its server was lost: it goes on with the next one, when there is one.' },
    ...(presence === 'gone'
      ? []
      : ([
          { guard: 'isFault', actions: ['putBack', 'scheduleHoldEnd', ...after], description: 'What all turns stand on fails: hold back.' },
          { guard: 'mayRestart', actions: ['planRestart', 'scheduleRetry', ...after], description: 'A fresh session, after a wait.' },
          { guard: 'crashed', actions: ['giveUp', ...after], description: 'The restart budget is spent.' },
        ] as const)),
    { actions: ['endAttempt', 'scheduleHoldEnd', ...after] },
  ] as const;
  return {
    'turn.ended': ends,
    'attempt.failed': ends,
    'turn.judged': { actions: [{ type: 'judge', params: { presence } }, ...after] },
    'retry.due': { actions: ['restart', ...after] },
  } as const;
};

/** What is asked for, and what the world says, whatever holds a slot. */
const requests = (presence: ServerPresence) => {
  const after = presence === 'here' ? (['assignSlots', 'tell'] as const) : (['tell'] as const);
  return {
    'task.cancelled': { actions: ['cancelTask', ...after] },
    'task.overdue': { actions: ['endOverdue', ...after] },
    'change.ended': { actions: ['endChange', ...after] },
    'session.released': { actions: ['releaseSession', 'tell'] },
    'session.ended': { actions: ['endSession', ...after] },
    'session.died': { actions: ['endLine', ...after] },
    'provider.paused': { actions: ['pause', 'scheduleHoldEnd'], description: 'No new turns of the provider until it is ready.' },
    'hold.over': { actions: ['endPauses', 'scheduleHoldEnd', ...after] },
  } as const;
};

const stop = { actions: ['stopWork', 'forbidRestarts', 'scheduleStopEnd', 'tell'] } as const;
const lose = { target: 'failed', actions: ['loseServer', 'tell'] } as const;
const away = { target: 'recovering', description: 'Another server on the same state, after a wait.' } as const;

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
    longestPauseMs: input.longestPauseMs ?? 120_000,
    generation: 1,
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
  states: {
    starting: {
      description: 'Server and event stream come up; tasks may queue.',
      on: {
        ...requests('away'),
        'pool.ready': { target: 'running', actions: ['assignSlots', 'tell'] },
        'task.queued': { actions: ['queueTask', 'scheduleOverdue', 'tell'] },
        'pool.drain': { actions: 'rememberDrain' },
        'pool.stop': { ...stop, target: 'draining' },
        'server.exited': lose,
      },
    },
    running: {
      description: 'Takes tasks and runs them.',
      on: {
        ...requests('here'),
        ...attempts('here'),
        'task.queued': { actions: ['queueTask', 'scheduleOverdue', 'assignSlots', 'tell'] },
        'pool.drain': { target: 'draining', actions: 'rememberDrain' },
        'pool.stop': { ...stop, target: 'draining' },
        'server.away': away,
        'server.rotated': { actions: 'noteGeneration' },
        'server.exited': lose,
      },
    },
    recovering: {
      description: 'The server was lost and is started again; tasks wait, those in flight keep their slots.',
      on: {
        ...requests('away'),
        ...attempts('away'),
        'task.queued': [{ guard: 'isDraining', actions: ['refuseTask', 'tell'] }, { actions: ['queueTask', 'scheduleOverdue', 'tell'] }],
        'server.recovered': [
          { guard: 'isDraining', target: 'draining', actions: ['resumeHeld', 'assignSlots', 'tell'] },
          { target: 'running', actions: ['resumeHeld', 'assignSlots', 'tell'] },
        ],
        'server.exited': lose,
        'pool.drain': { actions: 'rememberDrain' },
        'pool.stop': { ...stop, target: 'draining' },
      },
    },
    draining: {
      description: 'Takes no new tasks; what is there goes on, or is being aborted after a stop.',
      always: { guard: 'isEmpty', target: 'stopped' },
      on: {
        ...requests('here'),
        ...attempts('here'),
        'task.queued': { actions: ['refuseTask', 'tell'] },
        'pool.stop': stop,
        'stop.overdue': { actions: ['endUnconfirmed', 'tell'], description: 'No abort takes longer.' },
        'server.away': [{ guard: 'isStopping', description: 'It is to end anyway.' }, away],
        'server.recovered': { actions: ['resumeHeld', 'tell'] },
        'server.rotated': { actions: 'noteGeneration' },
        'server.exited': [{ guard: 'isStopping', actions: ['loseServer', 'tell'], description: 'It was to end.' }, lose],
      },
    },
    stopped: {
      description: 'All is done, all slots are free.',
      on: {
        'task.queued': { actions: ['refuseTask', 'tell'] },
        'session.released': { actions: ['releaseSession', 'tell'] },
        'session.ended': { actions: ['endSession', 'tell'] },
        'session.died': { actions: ['endLine', 'tell'] },
      },
    },
    failed: {
      description: 'The server is gone; every task ends as server_lost.',
      on: {
        ...requests('gone'),
        ...attempts('gone'),
        'task.queued': { actions: ['refuseTask', 'tell'] },
        'pool.stop': { actions: ['stopWork', 'scheduleStopEnd', 'tell'] },
        'stop.overdue': { actions: ['endUnconfirmed', 'tell'] },
      },
    },
  },
});
