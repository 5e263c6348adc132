import { assign, setup } from 'xstate';
import { admit } from './run-admission.ts';
import { accept, endAttempt, intend, judgeLook } from './run-attempts.ts';
import { cancelTask, changeConcurrency, requeueTask } from './run-control.ts';
import { closeWhenOver, endRun } from './run-ending.ts';
import { committed, flush, noteFree, noteFull, notCommitted, timerFired } from './run-journal.ts';
import { changeLimits, endWhenSpent, noteSpent } from './run-budget.ts';
import { restartClock, startClock } from './run-clock.ts';
import { judgeAnswer } from './run-repairs.ts';
import { changeProvider, pauseProvider, resumeProvider } from './run-providers.ts';
import { serverDied, serverGone, serverReady } from './run-server.ts';
import { tasksOf } from './run-tasks.ts';
import type { EventOf, RunContext, RunEffect, RunInput, RunMachineEvent, RunSettings } from './run.types.ts';
import { entries } from './task-table.ts';

/** How a run behaves when nobody says otherwise. */
export const defaultRunSettings: RunSettings = {
  concurrency: 6,
  infrastructureTries: 3,
  retryDelay: { firstMs: 1000, longestMs: 60_000 },
  restartLimits: { maxRestarts: 3, windowMs: 60_000, delaysMs: [100, 500, 2000] },
  failFast: 'off',
  maxFailures: null,
  onQuota: 'wait',
  quota: { marginMs: 45_000, jitterMs: 9000, longestMs: 26 * 3_600_000 },
  onInterrupted: 'retry',
  limits: { timeoutMs: null, tokens: null, usd: null },
  storageTimeoutMs: 60_000,
  serverTimeoutMs: 120_000,
};

type Params<Type extends RunEffect['type']> = Extract<RunEffect, { readonly type: Type }>['params'];

const types = {} as { context: RunContext; events: RunMachineEvent; input: RunInput };

/**
 * An action's change of what the run knows; then what may start starts, the run ends if it is over, and what was written is committed.
 * What it tells the host begins anew with each event.
 */
function changing<Type extends RunMachineEvent['type']>(change: (context: RunContext, event: EventOf<Type>) => RunContext) {
  return ({ context, event }: { readonly context: RunContext; readonly event: RunMachineEvent }): RunContext => {
    const fresh = { ...context, effects: [] };
    return context.closing === 'closed' ? fresh : flush(closeWhenOver(endWhenSpent(admit(change(fresh, event as EventOf<Type>)))));
  };
}

const machineSetup = setup({
  types,
  actions: {
    // Effects: the host provides them. Alone, the machine is pure.
    commit: (_args, _params: Params<'commit'>) => {},
    start: (_args, _params: Params<'start'>) => {},
    look: (_args, _params: Params<'look'>) => {},
    allowSend: (_args, _params: Params<'allowSend'>) => {},
    repair: (_args, _params: Params<'repair'>) => {},
    takeAnswer: (_args, _params: Params<'takeAnswer'>) => {},
    abort: (_args, _params: Params<'abort'>) => {},
    schedule: (_args, _params: Params<'schedule'>) => {},
    restartServer: (_args, _params: Params<'restartServer'>) => {},
    warn: (_args, _params: Params<'warn'>) => {},
    told: (_args, _params: Params<'told'>) => {},
    ended: (_args, _params: Params<'ended'>) => {},
    // Changes.
    open: assign(changing<'run.open'>(startClock)),
    pause: assign(changing<'run.pause'>((context) => ({ ...context, isPaused: true }))),
    resume: assign(changing<'run.resume'>((context) => ({ ...context, isPaused: false }))),
    drain: assign(changing<'run.drain'>((context) => endRun(context, { reason: 'drained', aborts: false, why: null }))),
    abortRun: assign(changing<'run.abort'>((context, { reason }) => endRun(context, { reason: 'aborted', aborts: true, why: reason }))),
    changeLimits: assign(changing<'limits.changed'>((context, event) => restartClock(changeLimits(context, event), event))),
    noteSpent: assign(changing<'attempt.spent'>(noteSpent)),
    changeConcurrency: assign(changing<'concurrency.changed'>(changeConcurrency)),
    changeProvider: assign(changing<'provider.changed'>(changeProvider)),
    pauseProvider: assign(changing<'provider.paused'>(pauseProvider)),
    resumeProvider: assign(changing<'provider.resumed'>(resumeProvider)),
    cancelTask: assign(changing<'task.cancelled'>(cancelTask)),
    requeueTask: assign(changing<'task.requeued'>(requeueTask)),
    intend: assign(changing<'attempt.intended'>(intend)),
    accept: assign(changing<'attempt.accepted'>(accept)),
    judgeAnswer: assign(changing<'attempt.answered'>(judgeAnswer)),
    endAttempt: assign(changing<'attempt.ended'>(endAttempt)),
    judgeLook: assign(changing<'attempt.looked'>(judgeLook)),
    confirm: assign(changing<'journal.committed'>(committed)),
    putBack: assign(changing<'journal.failed'>(notCommitted)),
    noteFull: assign(changing<'storage.full'>(noteFull)),
    noteFree: assign(changing<'storage.free'>(noteFree)),
    noteServer: assign(changing<'server.ready'>(serverReady)),
    loseServer: assign(changing<'server.died'>(serverDied)),
    giveServerUp: assign(changing<'server.gone'>(serverGone)),
    goOn: assign(changing<'timer.fired'>(timerFired)),
  },
  guards: {
    isOpen: ({ context }) => context.isOpen,
    isEnding: ({ context }) => context.ending !== null || context.closing === 'closing',
    isClosed: ({ context }) => context.closing === 'closed',
  },
});

/** Hands the effects of an event to the host, in their order. */
const tellAction = machineSetup.enqueueActions(({ context, enqueue }) => {
  for (const effect of context.effects) enqueue(effect);
});

const runSetup = machineSetup.extend({ actions: { tell: tellAction } });

const closed = { guard: 'isClosed', target: 'ended' } as const;

function contextOf({ plan, settings, models }: RunInput): RunContext {
  const tasks = tasksOf(plan, models);
  const known = { ...defaultRunSettings, ...settings };
  const limits = { ...defaultRunSettings.limits, ...settings?.limits };
  const left = entries(tasks).toSorted((a, b) => a.order - b.order);
  return {
    settings: { ...known, limits },
    generation: plan.generation,
    tasks,
    total: plan.tasks.length,
    dropped: plan.dropped,
    ready: {},
    suspects: [],
    unlooked: left.filter(({ place }) => place === 'unlooked').map(({ key }) => key),
    delayed: 0,
    unsettled: left.filter(({ place }) => place !== 'settled').length,
    flights: [],
    gates: [],
    started: 0,
    spent: plan.spent,
    samples: plan.samples,
    hardLimits: limits,
    warned: [],
    openedAtMs: 0,
    failures: 0,
    setupFailures: { keys: [], message: null },
    server: 'away',
    awaySinceMs: null,
    restartTimes: [],
    isPaused: false,
    fullSinceMs: null,
    isJournalBroken: false,
    isOpen: false,
    ending: null,
    closing: 'no',
    outbox: plan.events,
    committing: null,
    batches: 0,
    effects: [],
  };
}

/**
 * Decides everything about a run: which task has an attempt when, what becomes of each attempt, and when the run is over. What is true of
 * a task is what its committed rows say; the machine tells nobody of an end, and lets no prompt go out, before the host reports the commit
 * of its row. Pure: the effects (see `RunEffect`) are no-ops until a host provides them; each gets what it needs as parameters.
 *
 * - Rows reach the journal in the order in which they were written, one batch at a time.
 * - A token names one attempt over all managers; an end under an old one is written as `attempt.superseded`.
 * - A slot is freed by the committed end of its attempt, and by nothing else.
 *
 * @example
 * const { plan } = planResume(noHistory, tasks, {})
 * const actor = createActor(runMachine.provide({ actions }), { input: { plan, settings: { concurrency: 4 } } }).start()
 * actor.send({ type: 'run.open', atMs })
 * @public
 */
export const runMachine = runSetup.createMachine({
  id: 'run',
  description: 'Carries a set of tasks to their end, whatever dies meanwhile.',
  context: ({ input }) => contextOf(input),
  initial: 'opening',
  on: {
    'run.open': { actions: ['open', 'tell'] },
    'run.pause': { actions: ['pause', 'tell'] },
    'run.resume': { actions: ['resume', 'tell'] },
    'run.drain': { actions: ['drain', 'tell'] },
    'run.abort': { actions: ['abortRun', 'tell'] },
    'concurrency.changed': { actions: ['changeConcurrency', 'tell'] },
    'limits.changed': { actions: ['changeLimits', 'tell'] },
    'attempt.spent': { actions: ['noteSpent', 'tell'], description: 'At a limit of the run, what runs is ended.' },
    'provider.changed': { actions: ['changeProvider', 'tell'] },
    'provider.paused': { actions: ['pauseProvider', 'tell'] },
    'provider.resumed': { actions: ['resumeProvider', 'tell'], description: 'Parked tasks of it are woken.' },
    'task.cancelled': { actions: ['cancelTask', 'tell'] },
    'task.requeued': { actions: ['requeueTask', 'tell'] },
    'attempt.intended': { actions: ['intend', 'tell'], description: 'The prompt goes out once the row of its intent is committed.' },
    'attempt.accepted': { actions: ['accept', 'tell'] },
    'attempt.answered': {
      actions: ['judgeAnswer', 'tell'],
      description: 'An answer that does not fit its schema is corrected in its session, twice at most.',
    },
    'attempt.ended': { actions: ['endAttempt', 'tell'], description: 'Told once its row is committed.' },
    'attempt.looked': { actions: ['judgeLook', 'tell'] },
    'journal.committed': { actions: ['confirm', 'tell'] },
    'journal.failed': { actions: ['putBack', 'tell'] },
    'storage.full': { actions: ['noteFull', 'tell'] },
    'storage.free': { actions: ['noteFree', 'tell'] },
    'server.ready': { actions: ['noteServer', 'tell'] },
    'server.died': { actions: ['loseServer', 'tell'] },
    'server.gone': { actions: ['giveServerUp', 'tell'] },
    'timer.fired': { actions: ['goOn', 'tell'] },
  },
  states: {
    opening: {
      description: 'The row of its manager is being committed; nothing starts.',
      always: [closed, { guard: 'isOpen', target: 'running' }],
    },
    running: { description: 'Attempts start and end.', always: [closed, { guard: 'isEnding', target: 'ending' }] },
    ending: { description: 'No attempt starts any more; what is in flight ends, or is being aborted.', always: closed },
    ended: { description: 'The manager has let go of the run.' },
  },
});
