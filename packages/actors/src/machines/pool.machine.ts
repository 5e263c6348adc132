import { assign, raise, setup } from 'xstate';
import { emptySet, has } from './bucket-set.ts';
import {
  assignSlots,
  cancelTask,
  freeSlot,
  giveUp,
  loseWaiting,
  planRestart,
  queueTask,
  recentRestarts,
  requeue,
} from './pool-schedule.ts';
import type { PoolContext, PoolInput, PoolMachineEvent, RestartLimits } from './pool.types.ts';
import { emptyLanes } from './task-lanes.ts';

/** Restarts that a pool allows: three within a minute. */
export const defaultRestartLimits: RestartLimits = { maxRestarts: 3, windowMs: 60_000, backoffMs: [100, 500, 2000] };

type EventOf<Type extends PoolMachineEvent['type']> = Extract<PoolMachineEvent, { type: Type }>;

/** The change that each event makes to what the pool remembers; pure, in `pool-schedule.ts`. */
const changes: { readonly [Type in PoolMachineEvent['type']]?: (context: PoolContext, event: EventOf<Type>) => PoolContext } = {
  'task.queued': queueTask,
  'task.cancelled': cancelTask,
  'slot.freed': (context, { taskId, outcome }) => freeSlot(context, taskId, outcome),
  'task.crashed': planRestart,
  'retry.due': requeue,
};

function change(context: PoolContext, event: PoolMachineEvent): PoolContext {
  const apply = changes[event.type] as ((context: PoolContext, event: PoolMachineEvent) => PoolContext) | undefined;
  return apply ? apply(context, event) : context;
}

const types = {} as { context: PoolContext; events: PoolMachineEvent; input: PoolInput };

const machineSetup = setup({
  types,
  actions: {
    // Effects: the host provides them. Alone, the machine is pure.
    startAssigned: () => {},
    endLost: () => {},
    abortActive: () => {},
    record: assign(({ context, event }) => change(context, event)),
    // One assign a transition: the change and the slots it sets free are decided together.
    recordAndAssign: assign(({ context, event }) => assignSlots(change(context, event))),
    assignSlots: assign(({ context }) => assignSlots({ ...context, lost: [] })),
    giveUp: assign(({ context, event }) => (event.type === 'task.crashed' ? assignSlots(giveUp(context, event)) : context)),
    loseQueue: assign(({ context }) => ({ ...loseWaiting(context, 'stopped', null), stopping: true })),
    loseServer: assign(({ context, event }) =>
      event.type === 'server.exited' ? { ...loseWaiting(context, 'server_lost', event.error), error: event.error } : context,
    ),
    scheduleRetry: raise(({ event }) => retryDue(event), {
      delay: 'retryDelay',
    }),
  },
  guards: {
    withinBudget: ({ context, event }) =>
      event.type === 'task.crashed' &&
      has(context.holders, event.taskId) &&
      recentRestarts(context, event.atMs).length < context.restartLimits.maxRestarts,
    holdsSlot: ({ context, event }) => event.type === 'task.crashed' && has(context.holders, event.taskId),
    isRetrying: ({ context, event }) => event.type === 'retry.due' && context.retrying.some(({ taskId }) => taskId === event.taskId),
    isEmpty: ({ context }) => context.active === 0 && context.queued === 0 && context.retrying.length === 0,
  },
  delays: { retryDelay: ({ context }) => context.retryDelayMs },
});

function retryDue(event: PoolMachineEvent): EventOf<'retry.due'> {
  const { taskId, priority, group } = event as EventOf<'task.crashed'>;
  return { type: 'retry.due', taskId, priority, group };
}

/** What running and draining have in common: slots go round, lost sessions are tried again within the budget. */
const work = {
  'task.cancelled': { actions: 'record' },
  'slot.freed': { actions: ['recordAndAssign', 'startAssigned'] },
  'task.crashed': [
    {
      guard: 'withinBudget',
      actions: ['recordAndAssign', 'scheduleRetry', 'startAssigned'],
      description: 'A fresh session, after a wait.',
    },
    { guard: 'holdsSlot', actions: ['giveUp', 'endLost', 'startAssigned'], description: 'The restart budget is spent.' },
  ],
  'retry.due': { guard: 'isRetrying', actions: ['recordAndAssign', 'startAssigned'] },
  'server.exited': { target: 'failed', actions: ['loseServer', 'endLost'] },
} as const;

/**
 * Decides which task gets a slot when: lanes by priority, groups in turn within a lane, first in, first out within a
 * group. A slot is freed by the notice of the session that held it, and by nothing else. Pure: effects
 * (`startAssigned`, `endLost`, `abortActive`) are no-ops until a host provides them; they read `assigned` and `lost` of
 * the context. An event costs about 200 copied references with 10,000 tasks waiting and 500 slots in use.
 *
 * @example
 * const actor = createActor(poolMachine, { input: { maxSessions: 6 } }).start()
 * actor.send({ type: 'pool.ready' })
 * actor.send({ type: 'task.queued', taskId: 't1', priority: 0, group: '' })
 * actor.getSnapshot().context.assigned // ['t1']
 * @public
 */
export const poolMachine = machineSetup.createMachine({
  id: 'pool',
  description: 'Hands slots to tasks, and supervises the sessions that hold them.',
  context: ({ input }) => ({
    maxSessions: input.maxSessions ?? 6,
    restartLimits: { ...defaultRestartLimits, ...input.restartLimits },
    waiting: emptyLanes,
    queued: 0,
    holders: emptySet,
    active: 0,
    finished: 0,
    outcomes: {},
    restarts: 0,
    restartTimes: [],
    retrying: [],
    retryDelayMs: 0,
    assigned: [],
    lost: [],
    stopping: false,
    error: null,
  }),
  initial: 'starting',
  states: {
    starting: {
      description: 'Server and event stream come up; tasks may queue.',
      on: {
        'pool.ready': { target: 'running', actions: ['assignSlots', 'startAssigned'] },
        'task.queued': { actions: 'record' },
        'task.cancelled': { actions: 'record' },
        'pool.stop': { target: 'stopped', actions: ['loseQueue', 'endLost'] },
        'server.exited': { target: 'failed', actions: ['loseServer', 'endLost'] },
      },
    },
    running: {
      description: 'Takes tasks and runs them.',
      on: {
        ...work,
        'task.queued': { actions: ['recordAndAssign', 'startAssigned'] },
        'pool.drain': { target: 'draining' },
        'pool.stop': { target: 'draining', actions: ['loseQueue', 'endLost', 'abortActive'] },
      },
    },
    draining: {
      description: 'Takes no new tasks; what is there goes on, or is being aborted after a stop.',
      always: { guard: 'isEmpty', target: 'stopped' },
      on: {
        ...work,
        'pool.stop': { actions: ['loseQueue', 'endLost', 'abortActive'] },
      },
    },
    stopped: { description: 'All is done, all slots are free.' },
    failed: {
      description: 'The server is gone; every task has ended as server_lost.',
      on: { 'slot.freed': { actions: 'record', description: 'Turns that the server took with it.' } },
    },
  },
});
